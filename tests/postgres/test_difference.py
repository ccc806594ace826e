"""Overwrite by difference: the table equals the data, and only what differs was written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from publishing import AB, load, rows_of

from jobs.dbaccess.errors import ConstraintViolated, LoadError
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import parse_order
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.session import Session

DIFF = Move("overwrite", AB, ("a",), strategy="diff")


@pytest.fixture
def keyed(session: Session) -> Session:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text, c int DEFAULT 7)")
    session.run("INSERT INTO t VALUES (1, 'old', 1), (2, 'old', 2), (3, 'old', 3)")
    return session


def written(published: Published) -> tuple[int, int, int, int]:
    return published.inserted, published.updated, published.unchanged, published.deleted


def test_what_differs_is_deleted_updated_and_inserted(keyed: Session) -> None:
    [before] = keyed.run("SELECT xmin::text, ctid::text FROM t WHERE a = 2")
    assert written(load(keyed, DIFF, [(2, "old"), (3, "new"), (4, "new")])) == (1, 1, 1, 1)
    assert rows_of(keyed) == [[2, "old", 2], [3, "new", 3], [4, "new", 7]]
    assert keyed.run("SELECT xmin::text, ctid::text FROM t WHERE a = 2") == [before]


def test_the_same_data_again_writes_no_row(keyed: Session) -> None:
    load(keyed, DIFF, [(1, "x"), (2, "y")])
    before = keyed.run("SELECT a, xmin::text, ctid::text FROM t ORDER BY 1")
    assert written(load(keyed, DIFF, [(1, "x"), (2, "y")])) == (0, 0, 2, 0)
    assert keyed.run("SELECT a, xmin::text, ctid::text FROM t ORDER BY 1") == before


def test_no_data_empties_the_table(keyed: Session) -> None:
    assert written(load(keyed, DIFF, [])) == (0, 0, 0, 3)
    assert rows_of(keyed) == []


@pytest.mark.parametrize(("rows", "passes"), [([(1, "x"), (2, "x")], True), ([(1, "x"), (9, "x")], False), ([], False)])
def test_more_rows_than_allowed_are_not_deleted(keyed: Session, rows: list[tuple[int, str]], passes: bool) -> None:
    move = replace(DIFF, max_delete_share=0.34)
    if passes:
        assert load(keyed, move, rows).deleted == 1
        return
    with pytest.raises(LoadError, match=r"of the 3 rows of public\.t. At most 0\.34 of them may be deleted"):
        load(keyed, move, rows)
    assert [row[:2] for row in rows_of(keyed)] == [[1, "old"], [2, "old"], [3, "old"]]


def test_a_row_of_the_table_without_a_key_is_deleted(session: Session) -> None:
    session.run("CREATE TABLE t (a int UNIQUE, b text); INSERT INTO t VALUES (NULL, 'old'), (1, 'x')")
    assert written(load(session, DIFF, [(1, "x")])) == (0, 0, 1, 1)


def test_a_partitioned_table_is_compared(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a)")
    session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    session.run("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)")
    load(session, DIFF, [(1, "x"), (2, "x"), (11, "x")])
    assert written(load(session, DIFF, [(1, "x"), (11, "y"), (12, "x")])) == (1, 1, 1, 1)
    assert rows_of(session) == [[1, "x"], [11, "y"], [12, "x"]]


def test_of_a_key_that_is_staged_twice_the_first_counts(keyed: Session) -> None:
    move = replace(DIFF, order=parse_order("b desc"))
    assert written(load(keyed, move, [(1, "a"), (1, "old"), (2, "a"), (2, "z")])) == (0, 1, 1, 1)
    assert rows_of(keyed) == [[1, "old", 1], [2, "z", 2]]


def test_a_table_of_keys_alone_is_compared(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int DEFAULT 0); INSERT INTO t VALUES (1), (2)")
    load(session, replace(DIFF, columns=("a",)), [(2,), (3,)])
    assert rows_of(session) == [[2, 0], [3, 0]]


def test_a_key_that_is_written_otherwise_is_so_in_the_table(session: Session) -> None:
    session.run("CREATE TABLE t (a numeric PRIMARY KEY, b text, c int DEFAULT 7)")
    session.run("INSERT INTO t VALUES (1.0, 'x', 1), (2.0, 'x', 2), (3.0, 'x', 3)")
    rows = [("1.00", "x"), ("2.00", "y"), ("3.0", "x")]
    assert written(load(session, DIFF, rows)) == (0, 2, 1, 0)
    assert session.run("SELECT a::text, b, c FROM t ORDER BY a") == [
        ["1.00", "x", 1],
        ["2.00", "y", 2],
        ["3.0", "x", 3],
    ]
    assert written(load(session, DIFF, rows)) == (0, 0, 3, 0)
    load(session, replace(DIFF, columns=("a",)), [("1.000",), ("3.0",)])
    assert session.run("SELECT a::text FROM t ORDER BY a") == [["1.000"], ["3.0"]]


def test_a_key_of_a_collation_that_takes_different_texts_for_equal_is_as_the_data_has_it(session: Session) -> None:
    if not session.run("SELECT 1 FROM pg_collation WHERE collprovider = 'i'"):
        pytest.skip("this server was built without ICU")
    session.run("CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    session.run("CREATE TABLE t (a text COLLATE alike PRIMARY KEY, b text); INSERT INTO t VALUES ('Ada', 'x')")
    assert written(load(session, DIFF, [("ADA", "x")])) == (0, 1, 0, 0)
    assert rows_of(session) == [["ADA", "x"]]


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_a_key_that_is_written_otherwise_changes_no_other_table(session: Session, action: str) -> None:
    session.run("CREATE TABLE t (a numeric PRIMARY KEY, b text); INSERT INTO t VALUES (1.0, 'x')")
    session.run(f"CREATE TABLE child (a numeric REFERENCES t ON UPDATE {action}); INSERT INTO child VALUES (1.0)")
    assert written(load(session, DIFF, [("1.0", "y")])) == (0, 1, 0, 0)
    with pytest.raises(LoadError, match=r"A key of public\.t is written otherwise .* rows of child would be changed"):
        load(session, DIFF, [("1.00", "z")])
    assert session.run("SELECT a::text FROM child") == [["1.0"]]
    session.run("ALTER TABLE child DROP CONSTRAINT child_a_fkey, ADD FOREIGN KEY (a) REFERENCES t")
    assert written(load(session, DIFF, [("1.00", "z")])) == (0, 1, 0, 0)
    assert session.run("SELECT t.a::text, child.a::text FROM t JOIN child USING (a)") == [["1.00", "1.0"]]


@pytest.mark.parametrize("rows", [[(1, "old"), (1, "new")], [(None, "x")]])
def test_data_without_distinct_keys_is_refused_and_nothing_is_deleted(session: Session, rows: list[object]) -> None:
    session.run("CREATE TABLE t (a int UNIQUE, b text); INSERT INTO t VALUES (1, 'old'), (2, 'old')")
    with pytest.raises(LoadError):
        load(session, DIFF, rows)  # type: ignore[arg-type]  # two shapes of rows
    assert rows_of(session) == [[1, "old"], [2, "old"]]


def test_a_row_that_others_refer_to_is_not_deleted(keyed: Session) -> None:
    keyed.run("CREATE TABLE child (a int REFERENCES t); INSERT INTO child VALUES (2)")
    assert written(load(keyed, DIFF, [(2, "new"), (3, "old")])) == (0, 1, 1, 1)
    with pytest.raises(ConstraintViolated, match="child"):
        load(keyed, DIFF, [(3, "old")])
    assert rows_of(keyed) == [[2, "new", 2], [3, "old", 3]]


def test_other_tables_rows_are_never_deleted_along(keyed: Session) -> None:
    keyed.run("CREATE TABLE child (a int REFERENCES t ON DELETE CASCADE); INSERT INTO child VALUES (1)")
    with pytest.raises(LoadError, match="child"):
        load(keyed, DIFF, [(2, "new")])
    assert keyed.run("TABLE child") == [[1]]


def test_a_trigger_that_keeps_rows_is_noticed(keyed: Session) -> None:
    keyed.run(
        "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; "
        "CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW WHEN (OLD.a = 1) EXECUTE FUNCTION public.keep()"
    )
    with pytest.raises(LoadError, match="3 rows are there, and not the 2 that were inserted"):
        load(keyed, DIFF, [(2, "old"), (3, "new")])
    assert rows_of(keyed)[2] == [3, "old", 3]


def test_a_new_table_becomes_the_data(session: Session) -> None:
    assert written(load(session, DIFF, [(1, "x"), (2, "y")], ("integer", "text"))) == (2, 0, 0, 0)
    assert written(load(session, DIFF, [(2, "y"), (3, "z")])) == (1, 0, 1, 1)
    assert rows_of(session) == [[2, "y"], [3, "z"]]


def test_a_table_with_inheritance_children_is_refused(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); CREATE TABLE child () INHERITS (t)")
    with pytest.raises(LoadError, match="has inheritance children"):
        load(session, DIFF, [(1, "x")])
