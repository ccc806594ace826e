"""Verifying within publish: each mode's rows are found and compared; what differs by one cell is not published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from publishing import AB, Rows, T, load, rows_of

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import verify
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import parse_order
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.load.row_text import PLAIN, TEXT, Form, Sum, measure
from jobs.dbaccess.load.verify import Verification, VerificationFailed, Verified
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

FORMS = (Form(PLAIN), Form(TEXT))
ROWS: Rows = [(1, "x"), (2, None), (3, ""), (3, ""), (4, "a,1,é")]
UNIQUE: Rows = [(2, "new"), (3, None), (4, "é")]
TYPES = ("integer", "text")


def hash_of(row: Sequence[object]) -> int:
    """As Spark makes it, of an integer and a text."""
    number, word = row
    text = f"{number}\x1f{'' if word is None else word}" + ("f\x1ft" if word is None else "")
    return int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "big", signed=True)  # noqa: S324 - no secret


def meaning(session: Session, rows: Rows) -> Verification:
    return Verification(verify.row_text(session, AB, FORMS), Sum(len(rows), sum(map(hash_of, rows))))


def verified(
    session: Session, move: Move, rows: Rows, types: Sequence[str] = (), meanwhile: Callable[[], None] = lambda: None
) -> Published:
    return load(session, move, rows, types, meanwhile=meanwhile, verification=meaning(session, rows))


@pytest.fixture
def table(session: Session) -> Session:
    """With an old row, whose b none of the new ones has, and a column that the server fills."""
    session.run("CREATE TABLE t (a int, b text, c int DEFAULT 7, d int GENERATED ALWAYS AS (a + 1) STORED)")
    session.run("INSERT INTO t VALUES (2, 'old')")
    return session


@pytest.mark.parametrize("mode", ["append", "overwrite", "ignore", "new", "slice"])
def test_rows_that_are_as_spark_encoded_them_are_published(table: Session, mode: str) -> None:
    if mode == "new":
        table.run("DROP TABLE t")
    move = {"new": Move("append", AB), "slice": Move("overwrite", AB, where="a > 0 AND b IS DISTINCT FROM 'old'")}.get(
        mode, Move(mode, AB)
    )
    done = verified(table, move, ROWS, TYPES if mode == "new" else ())
    assert done.verified == Verified(len(ROWS), AB, ())
    assert len(rows_of(table)) == len(ROWS) + (mode in ("append", "ignore", "slice"))


def test_a_new_table_with_keys_is_verified(session: Session) -> None:
    done = verified(session, Move("upsert", AB, ("a",)), UNIQUE, TYPES)
    assert done.verified == Verified(3, AB, ())


def test_a_new_table_that_cannot_be_its_staging_is_verified(session: Session) -> None:
    """As where a publication of logical replication would have it."""
    find = "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE 'pgjobs_rows_%'"

    def unlog() -> None:
        [[name]] = session.run(find)
        session.run(f"ALTER TABLE {name} SET UNLOGGED")

    assert verified(session, Move("append", AB), ROWS, TYPES, unlog).verified == Verified(len(ROWS), AB, ())


@pytest.mark.parametrize(
    ("move", "rows", "compared"),
    [
        (Move("upsert", AB, ("a",)), UNIQUE, 3),
        (Move("ignore", AB, ("a",)), UNIQUE, 2),
        (Move("upsert", AB, ("a",), parse_order("b desc")), [*UNIQUE, (2, "newer"), (2, "newest")], 3),
    ],
    ids=["upsert", "ignore", "the first of each key"],
)
@pytest.mark.parametrize("partitioned", [False, True], ids=["table", "partitioned"])
def test_of_keyed_modes_the_rows_that_were_written_are_compared(
    session: Session, move: Move, rows: Rows, compared: int, partitioned: bool
) -> None:
    session.run(f"CREATE TABLE t (a int PRIMARY KEY, b text){' PARTITION BY RANGE (a)' if partitioned else ''}")
    if partitioned:
        session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (3)")
        session.run("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (3) TO (9)")
    session.run("INSERT INTO t VALUES (2, 'old'), (8, 'old')")
    assert verified(session, move, rows).verified == Verified(compared, AB, ())


@pytest.mark.parametrize(
    ("move", "compared"),
    [
        (Move("upsert", AB, ("a",), skip_unchanged="yes"), 1),
        (Move("overwrite", AB, ("a",), strategy="diff"), 3),
        (Move("overwrite", AB, ("a",), parse_order("b"), strategy="diff"), 3),
    ],
    ids=["upsert", "difference", "difference of the first of each key"],
)
def test_a_load_that_leaves_unchanged_rows_alone_is_verified(session: Session, move: Move, compared: int) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    load(session, Move("append", AB), UNIQUE)
    session.run("UPDATE t SET b = 'changed' WHERE a = 2")
    done = verified(session, move, UNIQUE)
    assert (done.updated, done.unchanged, done.verified) == (1, 2, Verified(compared, AB, ()))


def test_rows_that_exchange_unique_values_are_verified_as_others_of_an_upsert_that_deletes(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text UNIQUE); INSERT INTO t VALUES (2, 'x'), (3, 'y'), (9, 'z')")
    move = Move("upsert", AB, ("a",), max_delete_share=1, changes=Changes(delete_missing=True))
    done = verified(session, move, [(2, "y"), (3, "x"), (4, "new")])
    assert (done.inserted, done.updated, done.deleted, done.verified) == (1, 2, 1, Verified(3, AB, ()))
    assert verified(session, move, [(2, "old"), (3, "x"), (4, "new")]).updated == 1


TRIGGER = """
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.a = 3 THEN {} END IF; RETURN NEW;
END $$;
CREATE {} ON t {} FOR EACH ROW EXECUTE FUNCTION change();
"""
BEFORE, AFTER = "TRIGGER changes BEFORE INSERT OR UPDATE", "TRIGGER changes AFTER INSERT"
DEFERRED = "CONSTRAINT TRIGGER changes AFTER INSERT"
CHANGES = {
    "a cell": ("NEW.b := NEW.b || 'x';", BEFORE, ""),
    "a NULL becomes an empty text": ("NEW.b := coalesce(NEW.b, '');", BEFORE, ""),
    "a row is kept out": ("RETURN NULL;", BEFORE, ""),
    "a row is added": ("INSERT INTO t (a, b) VALUES (30, 'x');", AFTER, ""),
    "a cell, afterwards": ("UPDATE t SET b = 'x' WHERE a = 3;", AFTER, ""),
    "a cell, at the commit": ("UPDATE t SET b = 'x' WHERE a = 3;", DEFERRED, "DEFERRABLE INITIALLY DEFERRED"),
}


@pytest.mark.parametrize(
    ("mode", "change"),
    [*(("append", change) for change in CHANGES), *((mode, "a cell") for mode in ("overwrite", "upsert", "ignore"))],
)
def test_a_trigger_that_changes_one_row_is_found_and_nothing_is_published(
    session: Session, mode: str, change: str
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (9, 'old')")
    body, trigger, when = CHANGES[change]
    session.run(TRIGGER.format(body, trigger, when))
    move = Move(mode, AB, ("a",) if mode in ("upsert", "ignore") else ())
    rows = [(1, "x"), (3, None if "NULL" in change else "y"), (4, "z")]
    with pytest.raises(VerificationFailed, match=r"was not published: .* Staging is correct: a trigger"):
        verified(session, move, rows)
    assert rows_of(session) == [[9, "old"]]
    assert session.run("SELECT count(*) FROM table_updates") == [[0]]


CHANGE = "UPDATE {} SET b = 'z' WHERE a = 3"
EXCHANGE = "UPDATE {0} SET b = s.b FROM {0} s WHERE s.a = 7 - {0}.a"


@pytest.mark.parametrize(
    ("mode", "happening"),
    [*((mode, CHANGE) for mode in ("append", "overwrite", "upsert", "ignore", "new")), ("append", EXCHANGE)],
)
def test_a_cell_that_changes_in_staging_is_found(session: Session, mode: str, happening: str) -> None:
    """One cell; and two cells that change places, so that each column holds what it held."""
    if mode != "new":
        session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")

    def meanwhile() -> None:
        [[name]] = session.run("SELECT relname FROM pg_class WHERE relname LIKE 'pgjobs_rows_%' AND relkind = 'r'")
        assert session.change(happening.format(name)) > 0

    move = Move("append" if mode == "new" else mode, AB, ("a",) if mode in ("upsert", "ignore") else ())
    with pytest.raises(VerificationFailed, match="do not have the values that Spark encoded"):
        verified(session, move, [(3, "x"), (4, "y")], TYPES if mode == "new" else (), meanwhile)
    assert session.run("SELECT count(*) FROM table_updates") == [[0]]
    if mode == "new":
        assert session.run("SELECT to_regclass('t')::text") == [[None]]


def test_rows_in_a_big_table_are_found_at_its_end_and_in_its_holes(session: Session) -> None:
    session.run(
        "CREATE TABLE t (a int, b text); INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 9999) n"
    )
    assert verified(session, Move("append", AB), ROWS).verified == Verified(len(ROWS), AB, ())
    session.run("DELETE FROM t WHERE a BETWEEN 100 AND 500")
    session.run("VACUUM t")
    size = verify.blocks(session, T)
    assert verified(session, Move("append", AB), ROWS).verified == Verified(len(ROWS), AB, ())
    assert verify.blocks(session, T) == size


def test_a_database_of_another_encoding_hashes_as_spark_does(server: Settings) -> None:
    with connect(server, "pgjobs tests") as admin:
        admin.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        try:
            with connect(replace(server, dbname="latin"), "pgjobs tests") as latin:
                latin.run("CREATE TABLE t (a int, b text)")
                latin.run(f"INSERT INTO t VALUES (4, '{ROWS[-1][1]}')")
                found = measure(latin, "t", verify.row_text(latin, AB, FORMS).row_hash)
        finally:
            admin.run("DROP DATABASE latin WITH (FORCE)")
    assert found == Sum(1, hash_of(ROWS[-1]))


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        ("CREATE VIEW t AS SELECT 1 AS a, 'x' AS b", "is a view"),
        (
            "CREATE TABLE t (a int, b text); ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT ALL ON t TO reader",
            "security",
        ),
        ("CREATE TABLE t (a int, b text); GRANT INSERT ON t TO reader", "reads public.t, which this user may not"),
    ],
)
def test_a_table_whose_rows_cannot_be_read_back_is_refused(session: Session, ddl: str, reason: str) -> None:
    session.run("CREATE ROLE reader")
    try:
        session.run(ddl)
        found = tables.find_table(session, T)
        assert found is not None
        session.run("SET ROLE reader")
        with pytest.raises(UsageError, match=reason):
            verify.check_target(session, found)
    finally:
        session.run("RESET ROLE; DROP OWNED BY reader; DROP ROLE reader")
