"""Keys on a real server: what they have to be in the table and in the data, and what to do if they are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from publishing import AB, T, counts, load, rows_of

from jobs.dbaccess.errors import ConstraintViolated, LoadError
from jobs.dbaccess.load.move.changes import Changes, History
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.session import Session

UPSERT = Move("upsert", AB, ("a",))


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE t (a int, b text)",
        "CREATE TABLE t (a int, b text, UNIQUE (a, b))",
        "CREATE TABLE t (a int, b text); CREATE UNIQUE INDEX ON t (a) WHERE b IS NULL",
        "CREATE TABLE t (a int, b text); CREATE UNIQUE INDEX ON t ((a + 0))",
    ],
)
def test_ignore_wants_a_unique_index_on_exactly_the_keys_and_says_how_to_make_it(session: Session, ddl: str) -> None:
    session.run(ddl)
    with pytest.raises(LoadError, match=r'CREATE UNIQUE INDEX ON "public"."t" \("a"\);'):
        load(session, Move("ignore", AB, ("a",)), [(1, "x")])
    assert counts(load(session, UPSERT, [(1, "x")])) == (1, 0, 0)
    assert counts(load(session, UPSERT, [(1, "y"), (2, "y")])) == (1, 1, 0)


LATE = "DEFERRABLE INITIALLY DEFERRED"


@pytest.mark.parametrize(
    "ddl",
    [
        f"CREATE TABLE t (a int CONSTRAINT late PRIMARY KEY {LATE}, b text)",
        "CREATE TABLE t (a int CONSTRAINT late UNIQUE DEFERRABLE, b text); CREATE UNIQUE INDEX ON t (a)",
    ],
)
def test_a_deferrable_constraint_on_the_keys_is_refused_where_on_conflict_would_fail(
    session: Session, ddl: str
) -> None:
    """Beside another unique index, too: PostgreSQL uses both."""
    session.run(f"{ddl}; INSERT INTO t VALUES (1, 'old')")
    for move in (Move("ignore", AB, ("a",)), Move("ignore", AB), Move("overwrite", AB, ("a",), strategy="diff")):
        with pytest.raises(LoadError, match=r"The constraint late of public\.t is DEFERRABLE"):
            check_target(session, T, move)
    check_target(session, T, UPSERT)
    assert counts(load(session, UPSERT, [(1, "x"), (2, "x")])) == (1, 1, 0)
    session.run("ALTER TABLE t DROP CONSTRAINT late, ADD CONSTRAINT late PRIMARY KEY (a)")
    check_target(session, T, Move("ignore", AB))
    assert load(session, Move("ignore", AB), [(1, "y"), (3, "y")]).inserted == 1


def test_a_deferrable_constraint_on_other_columns_is_no_obstacle_if_keys_are_given(session: Session) -> None:
    session.run(
        f"CREATE TABLE t (a int PRIMARY KEY, b text CONSTRAINT late UNIQUE {LATE}); INSERT INTO t VALUES (1, 'x')"
    )
    for move in (Move("ignore", AB, ("a",)), Move("overwrite", AB, ("a",), strategy="diff"), UPSERT):
        check_target(session, T, move)
    assert load(session, Move("ignore", AB, ("a",)), [(1, "y"), (2, "y")]).inserted == 1
    with pytest.raises(LoadError, match="Or give --keys on which there is another unique index"):
        check_target(session, T, Move("ignore", AB))
    with pytest.raises(ConstraintViolated, match="late"):
        load(session, Move("ignore", AB, ("a",)), [(3, "x")])
    assert counts(load(session, UPSERT, [(1, "y"), (2, "x")])) == (0, 2, 0)  # they exchange their values


def test_a_deferrable_constraint_of_a_partition_is_refused_without_keys(session: Session) -> None:
    session.run(
        "CREATE TABLE t (a int, b text) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)"
    )
    check_target(session, T, Move("ignore", AB))
    session.run("ALTER TABLE t1 ADD CONSTRAINT late UNIQUE (b) DEFERRABLE")
    with pytest.raises(LoadError, match="The constraint late"):
        check_target(session, T, Move("ignore", AB))


@pytest.mark.parametrize("strategy", ["delete", "truncate", "append"])
def test_rows_that_violate_a_constraint_at_the_commit_fail_the_load(session: Session, strategy: str) -> None:
    session.run(f"CREATE TABLE t (a int CONSTRAINT late PRIMARY KEY {LATE}, b text); INSERT INTO t VALUES (1, 'old')")
    move = Move("append", AB) if strategy == "append" else Move("overwrite", AB, strategy=strategy)
    with pytest.raises(ConstraintViolated, match="late"):
        load(session, move, [(1, "x"), (1, "y")])
    assert rows_of(session) == [[1, "old"]]
    if strategy != "append":
        assert load(session, move, [(1, "x"), (2, "y")]).inserted == 2


def test_a_history_is_kept_by_deferrable_keys(session: Session) -> None:
    times = "valid_from timestamptz, valid_to timestamptz, is_current bool"
    session.run(f"CREATE TABLE t (a int, b text, {times}, PRIMARY KEY (a, valid_from) {LATE})")
    session.run("CREATE UNIQUE INDEX ON t (a) WHERE is_current")
    history = Move("history", AB, ("a",), history=History(as_of="2026-01-01"))
    load(session, history, [(1, "x"), (2, "x")])
    load(session, replace(history, history=History(as_of="2026-01-02")), [(1, "y")])
    assert session.run("SELECT a, b, is_current FROM t ORDER BY a, valid_from") == [
        [1, "x", False],
        [1, "y", True],
        [2, "x", True],
    ]


def test_an_index_that_carries_other_columns_along_serves(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text); CREATE UNIQUE INDEX ON t (a) INCLUDE (b)")
    assert counts(load(session, UPSERT, [(1, "x")])) == (1, 0, 0)


def test_a_key_twice_in_the_data_is_counted_and_not_shown(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'old')")
    with pytest.raises(LoadError) as caught:
        load(session, UPSERT, [(77, "x"), (77, "y"), (78, "x"), (78, "y"), (78, "z"), (5, "x")])
    assert "2 keys (a) occur more than once in the data, in 5 rows. Give --dedupe-order" in str(caught.value)
    assert "77" not in str(caught.value)
    assert rows_of(session) == [[1, "old"]]


def test_a_key_that_is_null_matches_no_row_and_is_refused(session: Session) -> None:
    session.run("CREATE TABLE t (a int UNIQUE, b text)")
    with pytest.raises(LoadError, match=r"1 row has NULL in a key \(a\)"):
        load(session, UPSERT, [(1, "x"), (None, "y")])


@pytest.mark.parametrize("ddl", ["UNIQUE (a)", "CHECK (b <> '')"], ids=["by the index", "without one"])
def test_a_composite_key_whose_fields_are_null_is_a_key_as_any_other(session: Session, ddl: str) -> None:
    session.run(f"CREATE TYPE pair AS (x int, y int); CREATE TABLE t (a pair, b text, {ddl})")
    assert counts(load(session, UPSERT, [("(,)", "x"), ("(1,)", "x")])) == (2, 0, 0)
    assert counts(load(session, UPSERT, [("(,)", "y"), ("(1,)", "x")])) == (0, 1, 0)
    assert session.run("SELECT a::text, b FROM t ORDER BY 1") == [["(,)", "y"], ["(1,)", "x"]]
    with pytest.raises(LoadError, match=r"1 row has NULL in a key \(a\)"):
        load(session, UPSERT, [("(,)", "x"), (None, "y")])


@pytest.mark.parametrize("move", [Move("overwrite", AB, ("a",), strategy="diff"), Move("ignore", AB, ("a",))])
def test_the_hint_for_keys_without_the_partition_key_is_one_that_postgresql_executes(
    session: Session, move: Move
) -> None:
    session.run("CREATE TABLE t (a int, b text) PARTITION BY LIST (b)")
    with pytest.raises(LoadError, match=r"no unique index on exactly \(a\)") as caught:
        check_target(session, T, move)
    assert "only with its partition key (b)" in caught.value.hint
    session.run(caught.value.hint.partition("create one: ")[2].partition(";")[0])
    check_target(session, T, replace(move, keys=("a", "b")))


def test_last_rows_that_differ_in_the_last_digit_of_a_float_are_told_apart(session: Session) -> None:
    """A role may have the server write fewer digits."""
    session.run("CREATE TABLE t (a int PRIMARY KEY, b float8); SET extra_float_digits = 0")
    move = Move("upsert", AB, ("a",), order_of(None, ["a"]), changes=Changes(order_by=("a",)))
    with pytest.raises(LoadError, match="several last rows that differ"):
        load(session, move, [(1, "0.3"), (1, "0.30000000000000004")])
