"""The ledger is Luigi's marker table, and an id is recorded once."""

from __future__ import annotations

import random
import threading

import pytest

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.load.ledger import LUIGIS, MAX_ID_BYTES, Ledger, check_id
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def test_the_marker_table_has_luigis_layout(session: Session) -> None:
    session.run("DROP TABLE table_updates")
    LUIGIS.ensure(session)
    LUIGIS.ensure(session)
    columns = session.run(
        "SELECT column_name, data_type, column_default FROM information_schema.columns "
        "WHERE table_name = 'table_updates' ORDER BY ordinal_position"
    )
    assert columns == [
        ["update_id", "text", None],
        ["target_table", "text", None],
        ["inserted", "timestamp without time zone", "now()"],
    ]
    keys = session.run("SELECT indexdef FROM pg_indexes WHERE tablename = 'table_updates'")
    assert "UNIQUE INDEX table_updates_pkey" in keys[0][0]
    assert "(update_id)" in keys[0][0]


def test_two_sessions_can_make_the_marker_table_at_once(database: Settings) -> None:
    with connect(database, "t") as session:
        session.run("DROP TABLE table_updates")
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def ensure() -> None:
        with connect(database, "t") as session:
            start.wait()
            try:
                LUIGIS.ensure(session)
            except BaseException as error:  # noqa: BLE001 - told by the assertion below
                failures.append(error)

    threads = [threading.Thread(target=ensure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_id_is_recorded_once(session: Session) -> None:
    assert LUIGIS.recorded_target(session, "a") is None
    assert LUIGIS.record(session, "a", "public.t")
    assert not LUIGIS.record(session, "a", "public.t")
    assert LUIGIS.recorded_target(session, "a") == "public.t"


def test_a_marker_that_luigi_wrote_counts(session: Session) -> None:
    session.run("INSERT INTO table_updates (update_id, target_table) VALUES ('Load_2026_11_20_838e32a989', 'orders')")
    assert LUIGIS.recorded_target(session, "Load_2026_11_20_838e32a989") == "orders"


ORDERS = TableName("orders", "public")


@pytest.mark.parametrize(
    ("recorded", "target"),
    [
        ("public.orders", ORDERS),
        ('"public"."orders"', ORDERS),
        ('public."a.b"', TableName("a.b", "public")),
        ("public.a.b", TableName("a.b", "public")),  # as older loads wrote it
        ('public.we"ird', TableName('we"ird', "public")),
    ],
)
def test_a_marker_with_a_tables_full_name_is_of_that_table(session: Session, recorded: str, target: TableName) -> None:
    LUIGIS.record(session, "x", recorded)
    assert LUIGIS.is_recorded(session, "x", target)


@pytest.mark.parametrize(
    "recorded", ["orders", "PUBLIC.ORDERS", "Public.orders", "a2.orders", "a.b.c", "by hand!", "", None]
)
def test_any_other_marker_takes_the_id(session: Session, recorded: str | None) -> None:
    session.run("INSERT INTO table_updates (update_id, target_table) VALUES ('x', %s)", recorded)
    told = f"by a marker of {recorded!r}" if recorded else "by a marker that names no table"
    with pytest.raises(UsageError) as caught:
        LUIGIS.is_recorded(session, "x", ORDERS)
    assert caught.value.message == f"The load id 'x' is taken {told}, which is not public.orders."


def test_the_longest_id_is_what_the_index_takes(session: Session) -> None:
    """Random characters, for the server compresses what it can."""
    chosen = random.Random(1).choices("".join(map(chr, range(33, 127))), k=MAX_ID_BYTES)  # noqa: S311 - no secret
    longest = "".join(chosen)
    check_id(longest)
    assert LUIGIS.record(session, longest, "public.t")
    with pytest.raises(DatabaseError, match="index row size"):
        LUIGIS.record(session, longest + "x", "public.t")
    check_id(longest[:-20], reserved=20)
    for too_long, reserved in ((longest + "x", 0), (longest[:-19], 20), ("é" * 1347, 0)):
        with pytest.raises(UsageError, match="bytes, and may have"):
            check_id(too_long, reserved=reserved)


@pytest.mark.parametrize(
    ("load_id", "told"), [("", "is empty"), (" \n", "is empty"), ("a\0b", "NUL"), ("\udcff", "UTF-8")]
)
def test_what_cannot_be_an_id_is_refused(load_id: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_id(load_id)


ETL = Ledger.parse('"Etl.x".marks')


def test_another_marker_table_is_created_in_its_schema_and_holds_ids_of_its_own(session: Session) -> None:
    session.run('CREATE SCHEMA "Etl.x"')
    assert not ETL.exists(session, "x")
    ETL.ensure(session)
    assert ETL.record(session, "x", "public.t")
    assert (ETL.exists(session, "x"), LUIGIS.exists(session, "x")) == (True, False)
    assert session.run("SELECT update_id, target_table, inserted > now() - interval '1 hour' FROM \"Etl.x\".marks") == [
        ["x", "public.t", True]
    ]
    assert ETL.forget(session, "x")
    assert not ETL.exists(session, "x")


def test_a_marker_table_in_a_schema_that_is_missing_is_refused(session: Session) -> None:
    with pytest.raises(UsageError, match=r'There is no schema for the table "Etl.x".marks'):
        ETL.ensure(session)


def test_a_marker_table_without_a_schema_is_the_first_on_search_path(session: Session, database: Settings) -> None:
    session.run("CREATE SCHEMA s1; CREATE SCHEMA s2; CREATE TABLE s2.marks (LIKE table_updates INCLUDING ALL)")
    session.run(f"ALTER DATABASE {database.dbname} SET search_path = s1, s2, public")
    with connect(database, "load") as other:
        Ledger.parse("marks").ensure(other)
        assert Ledger.parse("marks").record(other, "x", "public.t")
    assert session.run("SELECT update_id FROM s2.marks") == [["x"]]
    assert session.run("SELECT to_regclass('s1.marks')::text") == [[None]]


@pytest.mark.parametrize(
    ("columns", "lacking"),
    [
        ("update_id text, target_table text, inserted timestamp", "a primary key or unique index on update_id alone"),
        (
            "update_id text, target_table text, inserted timestamp, PRIMARY KEY (update_id, target_table)",
            "a primary key or unique index on update_id alone",
        ),
        (
            "update_id text PRIMARY KEY",
            "a column target_table of the type text or varchar; a column inserted of the type",
        ),
        (
            "update_id int PRIMARY KEY, target_table text, inserted timestamp",
            "a column update_id of the type text or varchar",
        ),
        (
            "update_id text PRIMARY KEY, target_table text, inserted timestamp, run int NOT NULL",
            "a default for run, which is NOT NULL",
        ),
    ],
)
def test_a_table_that_cannot_hold_markers_is_refused_before_anything_is_done(
    session: Session, columns: str, lacking: str
) -> None:
    session.run(f"CREATE TABLE marks ({columns})")
    marks = Ledger.parse("marks")
    for use in (marks.ensure, lambda session: marks.exists(session, "x"), lambda session: marks.forget(session, "x")):
        with pytest.raises(UsageError, match=f"public.marks cannot be the marker table. It lacks {lacking}"):
            use(session)


@pytest.mark.parametrize(
    "more", ["inserted timestamptz", "inserted timestamp, note text", "inserted timestamp NOT NULL"]
)
def test_a_marker_table_may_have_more_than_luigis(session: Session, more: str) -> None:
    session.run(f"CREATE TABLE marks (update_id varchar(250) PRIMARY KEY, target_table varchar(128), {more})")
    marks = Ledger.parse("marks")
    marks.ensure(session)
    assert marks.record(session, "x", "public.t")
    [marker] = marks.markers(session, limit=9)
    assert marker.inserted is not None


def test_ids_of_different_ledgers_do_not_exclude_each_other_and_those_of_one_do(
    session: Session, database: Settings
) -> None:
    """However the marker table is named. The default name has the lock of earlier versions, in whichever schema."""
    session.run('CREATE SCHEMA "Etl.x"; CREATE TABLE marks (LIKE table_updates INCLUDING ALL)')
    ETL.ensure(session)
    assert Ledger.parse("public.table_updates").lock(session, "x") == LUIGIS.lock(session, "x") == locks.load("x")
    assert locks.take(session, Ledger.parse("marks").lock(session, "x"))
    with connect(database, "load") as other:
        assert not locks.take(other, Ledger.parse("public.marks").lock(other, "x"))
        assert locks.take(other, ETL.lock(other, "x"))
        assert locks.take(other, LUIGIS.lock(other, "x"))
