"""The ledger is Luigi's marker table, and an id is held by one session at a time."""

from __future__ import annotations

import threading

from jobs.dbaccess import ledger
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings


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


def test_an_id_is_held_by_one_session_until_it_ends(session: Session, database: Settings) -> None:
    with connect(database, "t") as first:
        assert ledger.claim_load(first, "a")
        assert not ledger.claim_load(session, "a")
        assert ledger.claim_load(session, "b")
    ledger.await_load(session, "a")
