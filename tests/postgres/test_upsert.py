"""Upserts that leave unchanged rows alone: what is written, what is counted, and what is still refused."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from publishing import AB, T, load, rows_of

from jobs.dbaccess.catalog.unique_indexes import equalities
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.move.by_keys.upsert import Upsert, obstacle
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import parse_order
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

YES = Move("upsert", AB, ("a",), skip_unchanged="yes")
AUTO = replace(YES, skip_unchanged="auto")
NO = replace(YES, skip_unchanged="no")


@pytest.fixture
def keyed(session: Session) -> Session:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    session.run("INSERT INTO t VALUES (1, 'old'), (2, 'old'), (3, NULL)")
    return session


def written(published: Published) -> tuple[int, int, int, int]:
    return published.inserted, published.updated, published.unchanged, published.ignored


def versions(session: Session) -> list[list[object]]:
    return session.run("SELECT a, xmin::text, ctid::text FROM t ORDER BY 1")


def test_rows_that_are_equal_are_counted_and_not_written(keyed: Session) -> None:
    before = versions(keyed)
    assert written(load(keyed, YES, [(1, "old"), (2, "new"), (3, None), (4, "new")])) == (1, 1, 2, 0)
    assert rows_of(keyed) == [[1, "old"], [2, "new"], [3, None], [4, "new"]]
    after = versions(keyed)
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] != before[1]


def test_the_same_data_again_writes_no_row(keyed: Session) -> None:
    before = versions(keyed)
    assert written(load(keyed, AUTO, [(1, "old"), (2, "old"), (3, None)])) == (0, 0, 3, 0)
    assert versions(keyed) == before


def test_the_same_data_again_writes_next_to_no_wal(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text) WITH (autovacuum_enabled = false); CREATE INDEX ON t (b)")
    rows = [(a, f"row {a}") for a in range(30_000)]

    def wal() -> int:
        before = session.value("SELECT pg_current_wal_insert_lsn()")
        load(session, AUTO, rows)
        size: int = session.value("SELECT (pg_current_wal_insert_lsn() - %s::pg_lsn)::bigint", before)
        return size

    first = wal()
    session.run("VACUUM t")  # so that nobody writes hints when he reads the rows
    assert wal() < first / 10


def test_a_null_and_an_empty_text_differ(keyed: Session) -> None:
    assert written(load(keyed, YES, [(3, "")])) == (0, 1, 0, 0)
    assert rows_of(keyed)[2] == [3, ""]


def test_rows_are_written_if_few_of_a_sample_are_unchanged_and_the_decision_is_told(
    keyed: Session, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert written(load(keyed, AUTO, [(1, "old"), (2, "new"), (3, "new"), (4, "new")])) == (1, 3, 0, 0)
        assert written(load(keyed, AUTO, [(1, "old"), (2, "new"), (3, "new"), (4, "new")])) == (0, 0, 4, 0)
    assert [record.message for record in caplog.records if "sampled" in record.message] == [
        "Of 4 sampled rows, 1 are in the table already. Unchanged rows are written, too: few are expected.",
        "Of 4 sampled rows, 4 are in the table already. Unchanged rows are skipped.",
    ]


def test_every_row_is_written_if_that_is_wanted(keyed: Session) -> None:
    assert written(load(keyed, NO, [(1, "old"), (2, "old")])) == (0, 2, 0, 0)


@pytest.mark.parametrize(
    ("type_", "stored", "sent"),
    [
        ("numeric", "1.0", "1.00"),
        ("float8", "-0", "0"),
        ("interval", "1 day", "24:00:00"),
        ("json", '{"a": 1}', '{"a":1}'),
        ("char(3)[]", "{a}", "{A}"),
    ],
)
def test_values_that_an_operator_takes_for_equal_but_that_read_differently_are_written(
    session: Session, type_: str, stored: str, sent: str
) -> None:
    session.run(f"CREATE TABLE t (a int PRIMARY KEY, b {type_})")
    session.run(f"INSERT INTO t VALUES (1, '{stored}')")
    assert written(load(session, YES, [(1, sent)])) == (0, 1, 0, 0)
    assert written(load(session, YES, [(1, sent)])) == (0, 0, 1, 0)


@pytest.mark.parametrize("type_", ["json", "xml", "point", "tsvector", "bytea", "int[]", "jsonb"])
def test_a_type_with_or_without_an_operator_for_equality_is_compared(session: Session, type_: str) -> None:
    text = {"json": "[1]", "xml": "<a/>", "point": "(1,2)", "tsvector": "'a'", "bytea": "ab", "int[]": "{1,NULL}"}
    session.run(f"CREATE TABLE t (a int PRIMARY KEY, b {type_})")
    row = (1, text.get(type_, '{"a":1}'))
    load(session, YES, [row])
    assert written(load(session, YES, [row])) == (0, 0, 1, 0)


def test_a_value_that_is_stored_out_of_line_is_compared(keyed: Session) -> None:
    long = "".join(chr(33 + (i * i) % 90) for i in range(20_000)).replace("\\", "/")
    load(keyed, YES, [(1, long), (2, long)])
    assert written(load(keyed, YES, [(1, long), (2, long + "!")])) == (0, 1, 1, 0)


def test_a_partitioned_table_is_counted_alike(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a)")
    session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    session.run("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)")
    load(session, YES, [(1, "x"), (2, "x"), (11, "x")])
    assert written(load(session, YES, [(1, "x"), (2, "y"), (11, "x"), (12, "x")])) == (1, 1, 2, 0)
    assert rows_of(session) == [[1, "x"], [2, "y"], [11, "x"], [12, "x"]]


def test_keys_alone_are_counted_alike_in_a_partitioned_table(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY) PARTITION BY LIST (a); CREATE TABLE other PARTITION OF t DEFAULT")
    session.run("INSERT INTO t VALUES (1), (2), (3)")
    keys = Move("upsert", ("a",), ("a",))
    assert written(load(session, keys, [(1,), (2,), (9,)])) == (1, 0, 0, 2)
    differing = replace(keys, mode="overwrite", strategy="diff")
    assert written(load(session, differing, [(1,), (2,), (8,)])) == (1, 0, 2, 0)


@pytest.mark.parametrize("event", ["INSERT", "UPDATE"])
@pytest.mark.parametrize("is_partitioned", [False, True])
def test_rows_that_a_trigger_leaves_out_are_neither_inserted_nor_updated(
    session: Session, event: str, is_partitioned: bool
) -> None:
    session.run(f"CREATE TABLE t (a int PRIMARY KEY, b text) {'PARTITION BY LIST (a)' if is_partitioned else ''}")
    if is_partitioned:
        session.run("CREATE TABLE other PARTITION OF t DEFAULT")
    session.run("INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'x')")
    leaves_out = "BEGIN IF NEW.a IN (1, 8) THEN RETURN NULL; END IF; RETURN NEW; END"
    session.run(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS '{leaves_out}'")
    session.run(f"CREATE TRIGGER g BEFORE {event} ON t FOR EACH ROW EXECUTE FUNCTION f()")
    inserted = 1 if event == "INSERT" else 2
    rows = [(1, "y"), (2, "y"), (3, "x"), (8, "y"), (9, "y")]
    assert written(load(session, YES, rows)) == (inserted, 1, 1, 4 - inserted - 1)


def test_of_a_key_that_is_staged_twice_the_first_counts_even_if_it_is_unchanged(keyed: Session) -> None:
    move = replace(YES, order=parse_order("b desc"))
    assert written(load(keyed, move, [(1, "a"), (1, "old"), (2, "a"), (2, "z")])) == (0, 1, 1, 2)
    assert rows_of(keyed)[:2] == [[1, "old"], [2, "z"]]


@pytest.mark.parametrize("rows", [[(1, "old"), (1, "new")], [(1, "old"), (1, "old")]])
def test_a_key_twice_in_the_data_is_an_error_though_one_of_its_rows_is_unchanged(
    keyed: Session, rows: list[tuple[int, str]]
) -> None:
    with pytest.raises(LoadError, match=r"1 key \(a\) occurs more than once in the data, in 2 rows"):
        load(keyed, YES, rows)
    assert rows_of(keyed)[0] == [1, "old"]


def test_triggers_fire_for_the_rows_that_change_alone(keyed: Session) -> None:
    keyed.run(
        "CREATE TABLE public.fired (a int); CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO public.fired VALUES (NEW.a); RETURN NEW; END $$; "
        "CREATE TRIGGER note BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION public.note()"
    )
    load(keyed, YES, [(1, "old"), (2, "new")])
    assert keyed.run("SELECT a FROM public.fired") == [[2]]


def test_a_row_that_a_trigger_skips_is_ignored_and_not_unchanged(keyed: Session) -> None:
    keyed.run(
        "CREATE FUNCTION public.skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; "
        "CREATE TRIGGER skip BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.a = 9) EXECUTE FUNCTION public.skip()"
    )
    assert written(load(keyed, YES, [(1, "old"), (2, "new"), (9, "x")])) == (0, 1, 1, 1)


def test_keys_are_compared_as_the_unique_index_does(session: Session) -> None:
    session.run("CREATE COLLATION public.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    session.run("CREATE TABLE t (a text COLLATE public.nocase PRIMARY KEY, b text)")
    session.run("INSERT INTO t VALUES ('Key', 'old')")
    assert written(load(session, YES, [("kEY", "old")])) == (0, 0, 1, 0)
    assert written(load(session, YES, [("kEY", "new")])) == (0, 1, 0, 0)
    assert rows_of(session) == [["Key", "new"]]


def test_an_index_that_keeps_apart_what_its_column_takes_for_equal_decides_nothing(session: Session) -> None:
    """Whether unchanged rows are left out must not decide which rows there are."""
    session.run("CREATE COLLATION public.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    session.run('CREATE TABLE t (a text COLLATE public.nocase, b text); CREATE UNIQUE INDEX ON t (a COLLATE "C")')
    session.run("INSERT INTO t VALUES ('Key', 'old')")
    for skips in (NO, YES):
        load(session, skips, [("kEY", "old")])
        assert rows_of(session) == [["Key", "old"]]
    with pytest.raises(LoadError, match=r'CREATE UNIQUE INDEX ON "public"\."t" \("a"\)'):
        load(session, Move("overwrite", AB, ("a",), strategy="diff"), [("kEY", "old")])


def test_staging_whose_types_no_longer_match_is_not_compared(keyed: Session) -> None:
    def widen() -> None:
        keyed.run("ALTER TABLE t ALTER a TYPE bigint")

    assert written(load(keyed, AUTO, [(1, "old")], meanwhile=widen)) == (0, 1, 0, 0)
    keyed.run("ALTER TABLE t ALTER a TYPE int")
    with pytest.raises(LoadError, match=r"Unchanged rows of public\.t cannot be found"):
        load(keyed, YES, [(1, "old")], meanwhile=widen)


def test_who_may_not_read_a_column_writes_every_row(keyed: Session) -> None:
    keyed.run("CREATE ROLE pgjobs_blind; GRANT ALL ON SCHEMA public TO pgjobs_blind")
    keyed.run("CREATE TABLE staged AS SELECT a, b FROM t WHERE a = 1; GRANT SELECT ON staged TO pgjobs_blind")
    keyed.run("GRANT INSERT, UPDATE, SELECT (a) ON t TO pgjobs_blind")
    statements = Upsert(YES, T, TableName("staged", "public"), equalities(keyed, T, ("a",)))
    assert obstacle(keyed, statements) is None
    keyed.run("SET ROLE pgjobs_blind")
    try:
        assert "may not SELECT" in str(obstacle(keyed, statements))
    finally:
        keyed.run("RESET ROLE")
        keyed.run("DROP OWNED BY pgjobs_blind; DROP ROLE pgjobs_blind")


def test_rows_of_inheritance_children_are_not_taken_for_unchanged(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); CREATE TABLE child () INHERITS (t)")
    session.run("INSERT INTO child VALUES (1, 'x')")
    assert written(load(session, AUTO, [(1, "x")])) == (1, 0, 0, 0)
    with pytest.raises(LoadError, match="has inheritance children"):
        load(session, YES, [(1, "x")])
