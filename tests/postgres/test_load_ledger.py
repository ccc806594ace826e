"""The ledger is Luigi's marker table, and an id is recorded once."""

from __future__ import annotations

import random
import threading

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.load import ledger
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def test_the_marker_table_has_luigis_layout(session: Session) -> None:
    session.run("DROP TABLE table_updates")
    ledger.ensure(session)
    ledger.ensure(session)
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
                ledger.ensure(session)
            except BaseException as error:  # noqa: BLE001 - told by the assertion below
                failures.append(error)

    threads = [threading.Thread(target=ensure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_id_is_recorded_once(session: Session) -> None:
    assert ledger.recorded_target(session, "a") is None
    assert ledger.record(session, "a", "public.t")
    assert not ledger.record(session, "a", "public.t")
    assert ledger.recorded_target(session, "a") == "public.t"


def test_a_marker_that_luigi_wrote_counts(session: Session) -> None:
    session.run("INSERT INTO table_updates (update_id, target_table) VALUES ('Load_2026_11_20_838e32a989', 'orders')")
    assert ledger.recorded_target(session, "Load_2026_11_20_838e32a989") == "orders"


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
    ledger.record(session, "x", recorded)
    assert ledger.is_recorded(session, "x", target)


@pytest.mark.parametrize(
    "recorded", ["orders", "PUBLIC.ORDERS", "Public.orders", "a2.orders", "a.b.c", "by hand!", "", None]
)
def test_any_other_marker_takes_the_id(session: Session, recorded: str | None) -> None:
    session.run("INSERT INTO table_updates (update_id, target_table) VALUES ('x', %s)", recorded)
    told = f"by a marker of {recorded!r}" if recorded else "by a marker that names no table"
    with pytest.raises(UsageError) as caught:
        ledger.is_recorded(session, "x", ORDERS)
    assert caught.value.message == f"The load id 'x' is taken {told}, which is not public.orders."


def test_the_longest_id_is_what_the_index_takes(session: Session) -> None:
    """Random characters, for the server compresses what it can."""
    chosen = random.Random(1).choices("".join(map(chr, range(33, 127))), k=ledger.MAX_ID_BYTES)  # noqa: S311 - no secret
    longest = "".join(chosen)
    ledger.check_id(longest)
    assert ledger.record(session, longest, "public.t")
    with pytest.raises(DatabaseError, match="index row size"):
        ledger.record(session, longest + "x", "public.t")
    ledger.check_id(longest[:-20], reserved=20)
    for too_long, reserved in ((longest + "x", 0), (longest[:-19], 20), ("é" * 1347, 0)):
        with pytest.raises(UsageError, match="bytes, and may have"):
            ledger.check_id(too_long, reserved=reserved)


@pytest.mark.parametrize(
    ("load_id", "told"), [("", "is empty"), (" \n", "is empty"), ("a\0b", "NUL"), ("\udcff", "UTF-8")]
)
def test_what_cannot_be_an_id_is_refused(load_id: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ledger.check_id(load_id)
