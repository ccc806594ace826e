"""Modes on a real server: what the table holds afterwards, what stays, and what is refused."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from publishing import AB, Rows, T, counts, load, rows_of

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import parse_order
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

UPSERT = Move("upsert", AB, ("a",))


@pytest.fixture
def keyed(session: Session) -> Session:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text, c int DEFAULT 7)")
    session.run("INSERT INTO t VALUES (1, 'old', 1), (2, 'old', 2)")
    return session


def test_upsert_inserts_and_updates_and_counts_both(keyed: Session) -> None:
    assert counts(load(keyed, UPSERT, [(2, "new"), (3, "new"), (4, "new")])) == (2, 1, 0)
    assert rows_of(keyed) == [[1, "old", 1], [2, "new", 2], [3, "new", 7], [4, "new", 7]]


def test_upsert_by_several_keys_with_names_that_want_quotes(session: Session) -> None:
    session.run('CREATE TABLE t ("My Key" int, "select" text, v int, UNIQUE ("select", "My Key"))')
    move = Move("upsert", ("My Key", "select", "v"), ("My Key", "select"))
    load(session, move, [(1, "x", 1), (1, "y", 1)])
    assert counts(load(session, move, [(1, "y", 2), (2, "y", 2)])) == (1, 1, 0)
    assert rows_of(session) == [[1, "x", 1], [1, "y", 2], [2, "y", 2]]


def test_upsert_of_keys_alone_adds_what_is_missing(keyed: Session) -> None:
    assert counts(load(keyed, Move("upsert", ("a",), ("a",)), [(2,), (3,)])) == (1, 0, 1)


def test_upsert_into_a_partitioned_table_counts_both(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a)")
    session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    session.run("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)")
    assert counts(load(session, UPSERT, [(1, "x"), (11, "x")])) == (2, 0, 0)
    assert counts(load(session, UPSERT, [(11, "y"), (12, "y")])) == (1, 1, 0)
    assert rows_of(session) == [[1, "x"], [11, "y"], [12, "y"]]


def test_dedupe_order_keeps_the_first_of_each_key(keyed: Session) -> None:
    move = replace(UPSERT, order=parse_order("b desc nulls last"))
    assert counts(load(keyed, move, [(2, "x"), (2, "z"), (2, None), (3, "b"), (3, "a")])) == (1, 1, 3)
    assert rows_of(keyed)[1:] == [[2, "z", 2], [3, "b", 7]]


def test_rows_without_a_key_are_no_duplicates_of_each_other(session: Session) -> None:
    """NULL equals no other key, so the index has all of them. To DISTINCT ON, they are equal."""
    session.run("CREATE TABLE t (a int UNIQUE, b text)")
    move = Move("ignore", AB, ("a",), parse_order("b desc"))
    assert counts(load(session, move, [(None, "x"), (None, "y"), (None, "y"), (1, "x"), (1, "y")])) == (4, 0, 1)
    assert rows_of(session) == [[1, "y"], [None, "x"], [None, "y"], [None, "y"]]


def test_ignore_keeps_what_is_there(keyed: Session) -> None:
    assert counts(load(keyed, Move("ignore", AB), [(2, "new"), (3, "new")])) == (1, 0, 1)
    assert rows_of(keyed) == [[1, "old", 1], [2, "old", 2], [3, "new", 7]]


def test_ignore_with_keys_still_refuses_other_conflicts(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text UNIQUE)")
    load(session, Move("append", AB), [(1, "x")])
    move = Move("ignore", AB, ("a",))
    assert counts(load(session, move, [(1, "other")])) == (0, 0, 1)
    with pytest.raises(DatabaseError, match="t_b_key"):
        load(session, move, [(2, "x")])


def test_ignore_notices_staging_that_a_crash_emptied(keyed: Session) -> None:
    names = staging.plan_staging(T, AB)
    staging.create_beside(keyed, names, T)
    parts.begin_attempt(keyed, names, 0, 0)
    parts.copy_part(keyed, names, 0, 0, [Counted(b"5\tx\n", 1)])
    keyed.run(f"TRUNCATE {names.rows.quoted}")
    with pytest.raises(LoadError, match="the server crashed meanwhile"):
        publish(keyed, PublishPlan("x", T, names, (Receipt(0, 0),), Move("ignore", AB), is_new=False))
    assert LUIGIS.recorded_target(keyed, "x") is None


def test_overwrite_replaces_all_rows_and_keeps_all_that_hangs_on_the_table(keyed: Session) -> None:
    keyed.run("CREATE ROLE pgjobs_reader") if not role_exists(keyed) else None
    keyed.run("CREATE TABLE parent (c int PRIMARY KEY); INSERT INTO parent VALUES (7), (1), (2)")
    keyed.run("ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES parent; CREATE INDEX by_b ON t (b)")
    keyed.run("CREATE VIEW v AS SELECT a FROM t; GRANT SELECT ON t TO pgjobs_reader")
    keyed.run("CREATE TABLE child (a int REFERENCES t); INSERT INTO child VALUES (2)")
    before = shape(keyed)
    assert counts(load(keyed, Move("overwrite", AB), [(2, "new"), (9, "new")])) == (2, 0, 0)
    assert rows_of(keyed) == [[2, "new", 7], [9, "new", 7]]
    assert shape(keyed) == before
    assert keyed.run("SELECT a FROM v ORDER BY a") == [[2], [9]]


def role_exists(session: Session) -> bool:
    return bool(session.run("SELECT 1 FROM pg_roles WHERE rolname = 'pgjobs_reader'"))


def shape(session: Session) -> list[list[object]]:
    return [
        *session.run("SELECT oid, relowner, relacl::text FROM pg_class WHERE relname = 't'"),
        *session.run("SELECT indexrelid, indisvalid FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1"),
        *session.run("SELECT oid, conname FROM pg_constraint WHERE 't'::regclass IN (conrelid, confrelid) ORDER BY 1"),
    ]


def test_overwrite_without_a_row_that_others_point_to_is_refused_and_changes_nothing(keyed: Session) -> None:
    keyed.run("CREATE TABLE child (a int REFERENCES t); INSERT INTO child VALUES (2)")
    with pytest.raises(DatabaseError, match="child_a_fkey"):
        load(keyed, Move("overwrite", AB), [(9, "new")])
    assert rows_of(keyed) == [[1, "old", 1], [2, "old", 2]]


def test_overwrite_does_not_delete_other_tables_rows(keyed: Session) -> None:
    keyed.run("CREATE TABLE child (a int REFERENCES t ON DELETE CASCADE); INSERT INTO child VALUES (2)")
    with pytest.raises(LoadError, match="would change or delete rows of child"):
        load(keyed, Move("overwrite", AB), [(2, "new")])
    assert keyed.run("SELECT a FROM child") == [[2]]


@pytest.mark.parametrize("mode", ["overwrite", "upsert", "ignore"])
def test_publishing_waits_for_nobody_who_only_reads(keyed: Session, database: Settings, mode: str) -> None:
    with connect(database, "reader") as reader:
        reader.run("BEGIN")
        reader.run("SELECT * FROM t")
        keyed.run("SET lock_timeout = '2s'")
        load(keyed, Move(mode, AB, ("a",) if mode == "upsert" else ()), [(3, "new")])
        reader.run("ROLLBACK")


def test_columns_that_the_data_lacks_are_left_to_the_server(session: Session) -> None:
    session.run(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, b text, n serial, d int DEFAULT 5, "
        "g text GENERATED ALWAYS AS (upper(b)) STORED)"
    )
    for mode in ("append", "overwrite", "ignore"):
        load(session, Move(mode, ("b",)), [("x",)])
    assert session.run("SELECT b, d, g, n > 0, id > 0 FROM t") == [["x", 5, "X", True, True]] * 2


@pytest.mark.parametrize("mode", ["upsert", "ignore"])
def test_a_new_table_gets_the_keys_as_its_primary_key(session: Session, mode: str) -> None:
    assert counts(load(session, Move(mode, AB, ("a",)), [(1, "x"), (2, "y")], ("integer", "text"))) == (2, 0, 0)
    assert counts(load(session, Move(mode, AB, ("a",)), [(2, "z")]))[0] == 0
    assert session.run("SELECT relpersistence::text FROM pg_class WHERE relname = 't'") == [["p"]]


def test_the_rows_of_a_new_table_with_keys_are_written_once(session: Session) -> None:
    def remember_file() -> None:
        session.run(
            "CREATE TABLE staged AS SELECT pg_relation_filenode(oid) AS file FROM pg_class "
            "WHERE relname ~ '^pgjobs_rows' AND relkind = 'r'"
        )

    load(session, UPSERT, [(2, "x"), (1, "y")], ("integer", "text"), meanwhile=remember_file)
    assert session.run("SELECT file = pg_relation_filenode('t') FROM staged") == [[True]]
    assert session.run("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 't'::regclass") == [["t_pkey"]]
    assert rows_of(session) == [[1, "y"], [2, "x"]]


@pytest.mark.parametrize("order", ["", "b desc"])
def test_a_null_in_a_key_of_a_new_table_is_told_too(session: Session, order: str) -> None:
    move = replace(UPSERT, order=parse_order(order) if order else ())
    with pytest.raises(LoadError, match=r"1 row has NULL in a key \(a\)"):
        load(session, move, [(1, "x"), (None, "y")], ("integer", "text"))
    assert session.run("SELECT to_regclass('t')") == [[None]]


def test_a_key_twice_in_the_data_of_a_new_table_is_told_too(session: Session) -> None:
    with pytest.raises(LoadError, match=r"1 key .* occurs more than once"):
        load(session, UPSERT, [(1, "x"), (1, "y")], ("integer", "text"))
    assert session.run("SELECT to_regclass('t')") == [[None]]


def test_two_upserts_of_the_same_rows_at_once_are_both_right(keyed: Session, database: Settings) -> None:
    """In opposite orders: without turns, they would deadlock."""
    rows = [(number, "x") for number in range(2000)]
    errors: list[BaseException] = []

    def run(data: Rows) -> None:
        try:
            with connect(database, "upsert") as session:
                load(session, UPSERT, data)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(data,)) for data in (rows, rows[::-1]) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert keyed.run("SELECT count(*), count(*) FILTER (WHERE b = 'x') FROM t") == [[2000, 2000]]


def test_two_overwrites_at_once_leave_the_rows_of_one(keyed: Session, database: Settings) -> None:
    def run(word: str) -> None:
        with connect(database, "overwrite") as session:
            load(session, Move("overwrite", AB), [(number, word) for number in range(500)])

    threads = [threading.Thread(target=run, args=(word,)) for word in ("x", "y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [[total, words]] = keyed.run("SELECT count(*), count(DISTINCT b) FROM t")
    assert (total, words) == (500, 1)


DEFAULTS = [
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
]


@pytest.mark.parametrize("default", DEFAULTS, ids=[f"{name}={value}" for name, value in DEFAULTS])
def test_two_overwrites_that_meet_leave_the_rows_of_one_whatever_a_session_inherits(
    session: Session, database: Settings, default: tuple[str, str]
) -> None:
    """Both have begun their transactions when the first one may go on."""
    session.run("CREATE TABLE t (a int, b text)")
    inheriting = replace(database, startup=(default,))
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with connect(inheriting, "overwrite") as writer:
                load(writer, Move("overwrite", AB), [(number, "x") for number in range(5)])
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    with session.transaction():
        session.run("LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE")
        for thread in threads:
            thread.start()
        waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND database = %s"
        [[oid]] = session.run("SELECT oid FROM pg_database WHERE datname = current_database()")
        while session.run(waiting, oid) != [[len(threads)]] and any(thread.is_alive() for thread in threads):
            pass
    for thread in threads:
        thread.join()
    assert errors == []
    assert session.run("SELECT count(*), count(DISTINCT a) FROM t") == [[5, 5]]


def test_two_loads_that_make_the_same_table_at_once_are_both_right(session: Session, database: Settings) -> None:
    names = [staging.plan_staging(T, AB) for _ in range(2)]
    with connect(database, "other") as other:
        for opened, staged in zip((session, other), names):
            staging.create_for_new(opened, staged, ("integer", "text"), logged=True)
            parts.begin_attempt(opened, staged, 0, 0)
            parts.copy_part(opened, staged, 0, 0, [Counted(b"1\tx\n", 1)])
        for opened, staged in zip((session, other), names):
            publish(opened, PublishPlan(staged.rows.name, T, staged, (Receipt(0, 0),), Move("append", AB), is_new=True))
    assert rows_of(session) == [[1, "x"], [1, "x"]]


@pytest.mark.parametrize("mode", ["upsert", "ignore"])
def test_a_table_may_be_called_excluded(session: Session, mode: str) -> None:
    session.run("CREATE TABLE excluded (a int PRIMARY KEY, b text)")
    session.run("CREATE TABLE staged (a int, b text)")
    for value in ("x", "y"):
        session.run(f"DELETE FROM staged; INSERT INTO staged VALUES (1, '{value}')")
        session.change(Move(mode, AB, ("a",)).insert(TableName("excluded"), TableName("staged")))
    assert session.run("SELECT b FROM excluded") == [["y" if mode == "upsert" else "x"]]


def test_a_repeated_key_of_an_append_is_told_with_what_to_do(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    with pytest.raises(ConstraintViolated) as caught:
        load(session, Move("append", AB), [(1, "x"), (1, "y")])
    assert caught.value.hint.startswith("Nothing was loaded. --mode upsert (or ignore) with --keys")
