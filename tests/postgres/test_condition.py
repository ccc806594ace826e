"""Overwrite of a slice: the rows that meet a condition are replaced by the rows of the load, and no others."""

from __future__ import annotations

import threading

import pytest
from looks import Looks, looking, make_slow
from publishing import AB, T, counts, load, rows_of
from threads import at_once

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, LoadError, UsageError
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


def slice_of(where: str, *columns: str) -> Move:
    return Move("overwrite", columns or AB, where=where)


NEW = [(2, "new"), (3, "new")]
MIDDLE = slice_of("a BETWEEN 2 AND 9")
OLD = [[1, "old"], [2, "old"], [4, "old"], [10, "old"]]
INTO = "INSERT INTO t VALUES (1, 'old'), (2, 'old'), (4, 'old'), (10, 'old')"
PLAIN = f"CREATE TABLE t (a int PRIMARY KEY, b text); {INTO}"
PARTITIONED = (
    "CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a);"
    "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (3);"
    f"CREATE TABLE high PARTITION OF t FOR VALUES FROM (3) TO (99); {INTO}"
)
REPLACED = [[1, "old"], [2, "new"], [3, "new"], [10, "old"]]


@pytest.mark.parametrize(
    "made",
    [
        PLAIN,
        PARTITIONED,
        f"CREATE TABLE base (a int, b text, c int); CREATE VIEW t AS SELECT a, b FROM base; {INTO}",
        f"{PLAIN}; CREATE TABLE child (a int REFERENCES t); INSERT INTO child VALUES (1), (2)",
    ],
    ids=["plain", "partitioned", "view", "referenced"],
)
def test_the_slice_is_replaced_and_all_other_rows_stay(session: Session, made: str) -> None:
    session.run(made)
    for deleted in (2, 2):
        published = load(session, MIDDLE, NEW)
        assert (counts(published), published.deleted) == ((2, 0, 0), deleted)
        assert rows_of(session) == REPLACED


@pytest.mark.parametrize(
    ("where", "rows", "told"),
    [
        ("a BETWEEN 2 AND 9", [(2, "new"), (11, "out"), (12, "out")], "2 of 3 rows do not meet"),
        ("b = 'new'", [(5, "new"), (6, None)], "1 of 2 rows do not meet the condition .* false or NULL"),
        ("a % 2 = 0 AND b LIKE '%w' -- 100 %", [(6, "new"), (7, "new")], "1 of 2 rows"),
        ("t.a > (SELECT 4)", [(3, "new")], "1 of 1 rows"),
    ],
)
def test_a_row_outside_of_the_slice_is_counted_and_nothing_changes(
    session: Session, where: str, rows: list[tuple[object, ...]], told: str
) -> None:
    session.run(PLAIN)
    with pytest.raises(LoadError, match=told):
        load(session, slice_of(where), rows, load_id="x")
    assert rows_of(session) == OLD
    assert LUIGIS.recorded_target(session, "x") is None


def test_the_condition_judges_defaults_generated_columns_and_what_triggers_made(session: Session) -> None:
    session.run(
        "CREATE TABLE t (a int, b text, day date DEFAULT '2026-11-20', half int GENERATED ALWAYS AS (a / 2) STORED);"
        "INSERT INTO t VALUES (1, 'old', DEFAULT), (9, 'old', '2026-11-19')"
    )
    assert load(session, slice_of("day = '2026-11-20' AND half < 5"), NEW).deleted == 1
    assert session.run("SELECT a FROM t ORDER BY 1") == [[2], [3], [9]]
    session.run(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.day := '2026-11-21'; RETURN NEW; END$$;"
        "CREATE TRIGGER late BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.a = 3) EXECUTE FUNCTION late()"
    )
    with pytest.raises(LoadError, match="1 of 2 rows do not meet"):
        load(session, slice_of("day = '2026-11-20'"), NEW)
    assert session.run("SELECT a FROM t ORDER BY 1") == [[2], [3], [9]]


def test_rows_that_a_trigger_moves_out_of_the_slice_afterwards_are_told(session: Session) -> None:
    session.run(
        f"{PLAIN}; CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN UPDATE t SET a = 99 WHERE a = NEW.a AND NEW.a = 3; RETURN NULL; END$$;"
        "CREATE TRIGGER away AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION away()"
    )
    with pytest.raises(LoadError, match="1 row is there, and not the 2 that were inserted"):
        load(session, MIDDLE, NEW)
    assert rows_of(session) == OLD


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("dya = 1", 'column "dya" does not exist'),
        ("a", "must be type boolean"),
        ("a = 1; DELETE FROM t", "syntax error"),
        ("true) OR (true", "syntax error"),
        ("count(*) > 1", "aggregate functions are not allowed"),
        ("a = 'x'", "invalid input syntax"),
    ],
)
def test_a_condition_that_cannot_be_right_is_refused_before_anything_is_copied(
    session: Session, where: str, told: str
) -> None:
    session.run(PLAIN)
    with pytest.raises(UsageError, match=f"--overwrite-where is not one boolean expression.*{told}"):
        check_target(session, T, slice_of(where))


def test_a_table_whose_rows_cannot_be_returned_is_refused_before_anything_is_copied(session: Session) -> None:
    session.run(f"{PLAIN}; CREATE TABLE o (a int); CREATE RULE r AS ON INSERT TO t DO INSTEAD INSERT INTO o VALUES (1)")
    with pytest.raises(DatabaseError, match="INSERT RETURNING"):
        check_target(session, T, MIDDLE)


def test_of_a_table_that_does_not_exist_the_slice_is_made(session: Session) -> None:
    published = load(session, MIDDLE, NEW, ("integer", "text"))
    assert (counts(published), published.deleted) == ((2, 0, 0), 0)
    assert rows_of(session) == [list(row) for row in NEW]
    session.run("DROP TABLE t")
    with pytest.raises(LoadError, match="1 of 2 rows do not meet"):
        load(session, MIDDLE, [(2, "new"), (1, "out")], ("integer", "text"))
    assert session.run("SELECT to_regclass('t')::text") == [[None]]


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
@pytest.mark.parametrize("referencing", ["child", "t"])
def test_no_row_outside_of_the_slice_is_deleted_or_changed_by_a_foreign_key(
    session: Session, referencing: str, action: str
) -> None:
    session.run(PLAIN)
    session.run("ALTER TABLE t ADD other int; CREATE TABLE child (other int)")
    session.run(f"ALTER TABLE {referencing} ADD FOREIGN KEY (other) REFERENCES t ON DELETE {action}")
    with pytest.raises(LoadError, match=f"would change or delete other rows of {referencing}"):
        check_target(session, T, MIDDLE)


def test_a_row_that_others_reference_is_replaced_by_one_with_its_key_or_stays(session: Session) -> None:
    session.run(f"{PLAIN}; ALTER TABLE t ADD next int REFERENCES t; UPDATE t SET next = 4 WHERE a = 1")
    with pytest.raises(ConstraintViolated, match="t_next_fkey"):
        load(session, MIDDLE, NEW)
    assert load(session, MIDDLE, [(4, "new")]).deleted == 2
    assert session.run("SELECT a, b, next FROM t ORDER BY 1") == [[1, "old", 4], [4, "new", None], [10, "old", None]]


def test_a_policy_that_may_hide_rows_of_the_slice_refuses_the_load(session: Session) -> None:
    session.run(f"{PLAIN}; ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (a <> 4)")
    session.run("CREATE ROLE bound; GRANT ALL ON t TO bound; GRANT ALL ON SCHEMA public TO bound; SET ROLE bound")
    try:
        with pytest.raises(LoadError, match="Row-level security may hide rows"):
            check_target(session, T, MIDDLE)
    finally:
        session.run("RESET ROLE; DROP OWNED BY bound; DROP ROLE bound")


def test_the_condition_means_what_it_means_on_the_users_search_path(database: Settings) -> None:
    with connect(database, "setup") as setup:
        setup.run(
            f"{PLAIN}; CREATE SCHEMA mine; ALTER DATABASE {database.dbname} SET search_path = mine, public;"
            "CREATE FUNCTION mine.in_slice(int) RETURNS boolean LANGUAGE sql AS 'SELECT $1 BETWEEN 2 AND 9'"
        )
    with connect(database, "load") as session:
        session.pin()
        assert load(session, slice_of("in_slice(a)"), NEW).deleted == 2
    with connect(database, "look") as look:
        assert rows_of(look) == REPLACED


def test_readers_neither_wait_nor_see_the_slice_empty_or_double(session: Session, database: Settings) -> None:
    session.run(PLAIN)
    make_slow(session, "INSERT OR DELETE")
    with looking(database, "string_agg(a || b, ',' ORDER BY a)") as looks:
        load(session, MIDDLE, NEW)
    assert looks == Looks({"1old,2old,4old,10old", "1old,2new,3new,10old"}, waited=False)


def test_two_loads_of_the_same_slice_and_a_writer_leave_the_rows_of_one(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")

    def replace(mark: str) -> None:
        with connect(database, "load") as writer:
            load(writer, MIDDLE, [(a, mark) for a in range(2, 10)])

    def write() -> None:
        with connect(database, "writer") as writer:
            for a in range(100, 200):
                writer.change("INSERT INTO t VALUES (%s, 'written')", a)

    assert at_once(write, *[lambda mark=mark: replace(mark) for mark in "pqr"]) == []
    [[rows, marks]] = session.run("SELECT count(*), count(DISTINCT b) FROM t WHERE a < 10")
    assert (rows, marks) == (8, 1)
    assert session.run("SELECT count(*) FROM t WHERE b = 'written'") == [[100]]


def test_a_row_that_somebody_is_inserting_into_the_slice_is_replaced_too(session: Session, database: Settings) -> None:
    session.run(PLAIN)

    def replace() -> None:
        with connect(database, "load") as writer:
            load(writer, MIDDLE, NEW)

    thread = threading.Thread(target=replace)
    with session.transaction():
        session.run("INSERT INTO t VALUES (5, 'late')")
        thread.start()
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass"
        while thread.is_alive() and not session.run(waiting):
            pass
    thread.join()
    assert rows_of(session) == REPLACED
