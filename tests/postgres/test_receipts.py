"""Receipts: of all that attempts staged and claimed, what Spark accepted is published, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted, Tally
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

TARGET = TableName("t", "public")
KEYED = Move("upsert", ("a",), ("a",))


def staged(session: Session, mode: str) -> tuple[Staging, Move]:
    """Staging for a table that exists, or, for the mode `new`, for one that does not."""
    move = KEYED if mode == "upsert" else Move("append" if mode == "new" else mode, ("a",))
    names = staging.plan_staging(TARGET, ["a"])
    if mode == "new":
        staging.create_for_new(session, names, ["integer"], logged=True)
    else:
        session.run("CREATE TABLE t (a int PRIMARY KEY)")
        staging.create_beside(session, names, TARGET)
    return names, move


def attempt(session: Session, names: Staging, receipt: Receipt, rows: Sequence[int]) -> Receipt:
    assert parts.begin_attempt(session, names, receipt.part, receipt.attempt)
    blocks = [Counted("".join(f"{row}\n" for row in rows).encode(), len(rows))]
    parts.copy_part(session, names, receipt.part, receipt.attempt, blocks)
    return receipt


def published(session: Session, names: Staging, move: Move, *receipts: Receipt, is_new: bool = False) -> Published:
    return publish(session, PublishPlan("x", TARGET, names, receipts, move, is_new))


@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "ignore", "new"])
def test_of_several_claims_of_a_part_the_one_that_spark_accepted_is_published(session: Session, mode: str) -> None:
    """A cut one before it, and a whole one after it: a retry, and a speculative twin that was denied."""
    names, move = staged(session, mode)
    attempt(session, names, Receipt(1, 10), [4])
    attempt(session, names, Receipt(0, 11), [1])
    accepted = [attempt(session, names, Receipt(0, 12), [1, 2, 3]), attempt(session, names, Receipt(1, 13), [4, 5])]
    attempt(session, names, Receipt(0, 14), [1, 2, 3])
    assert parts.begin_attempt(session, names, 1, 15)
    told = published(session, names, move, *accepted, is_new=mode == "new")
    assert told == Published(Tally(parts=2, rows=5, bytes=10, discarded=4, failure=None), inserted=5)
    assert session.run("SELECT a FROM t ORDER BY a") == [[1], [2], [3], [4], [5]]


def test_what_is_left_of_staging_is_what_its_frozen_rows_say(session: Session) -> None:
    """Vacuum may freeze rows while a load runs for days."""
    names, move = staged(session, "append")
    attempt(session, names, Receipt(0, 1), [1, 2])
    accepted = attempt(session, names, Receipt(0, 2), [1, 2, 3])
    session.run(f"VACUUM FREEZE {names.rows.quoted}")
    session.run(f"VACUUM FULL {names.parts.quoted}")
    assert published(session, names, move, accepted).inserted == 3


@pytest.mark.parametrize(
    ("receipts", "words"),
    [
        ([Receipt(0, 1), Receipt(1, 9)], "1 of 2 parts are staged"),
        ([Receipt(0, 1), Receipt(1, 4)], "1 of 2 parts are staged"),
        ([Receipt(0, 1), Receipt(0, 2)], "a part twice, or not at all"),
        ([Receipt(1, 3)], "a part twice, or not at all"),
    ],
    ids=["never begun", "begun and not claimed", "twice", "not at all"],
)
def test_what_spark_accepted_and_is_not_there_fails_the_load(
    session: Session, receipts: list[Receipt], words: str
) -> None:
    names, move = staged(session, "append")
    for number, receipt in enumerate([Receipt(0, 1), Receipt(0, 2), Receipt(1, 3)]):
        attempt(session, names, receipt, [number])
    parts.begin_attempt(session, names, 1, 4)
    with pytest.raises(LoadError, match=words):
        published(session, names, move, *receipts)
    assert session.run("SELECT a FROM t") == []
    assert LUIGIS.recorded_target(session, "x") is None


def test_a_crash_that_took_what_was_to_be_deleted_fails_the_load(session: Session) -> None:
    """A crash empties unlogged tables and keeps the claims; TRUNCATE leaves the same."""
    names, move = staged(session, "append")
    attempt(session, names, Receipt(0, 1), [1])
    session.run(f"TRUNCATE {names.rows.quoted}")
    accepted = attempt(session, names, Receipt(0, 2), [1, 2])
    with pytest.raises(LoadError, match=r"1 row was to be deleted from staging, .* but 0 were: the server crashed"):
        published(session, names, move, accepted)
    assert session.run("SELECT a FROM t") == []


def test_an_attempt_that_notes_a_failure_fails_the_load_whatever_the_receipts_say(session: Session) -> None:
    names, move = staged(session, "append")
    accepted = attempt(session, names, Receipt(0, 1), [1])
    parts.begin_attempt(session, names, 1, 2)
    parts.record_failure(session, names, 1, 2, "why")
    with pytest.raises(LoadError, match="why"):
        published(session, names, move, accepted, Receipt(1, 2))


def test_a_claim_that_is_committed_while_publish_waits_for_the_tables_is_seen(
    session: Session, database: Settings
) -> None:
    """A late attempt that cannot be ended, as it runs under a role that this user may not end."""
    names, move = staged(session, "append")
    accepted = attempt(session, names, Receipt(0, 1), [1, 2])
    parts.begin_attempt(session, names, 0, 2)
    session.run("SET default_transaction_isolation = 'repeatable read'")
    session.run("CREATE ROLE pgjobs_weak; GRANT ALL ON SCHEMA public TO pgjobs_weak")
    session.run(f"GRANT ALL ON {names.rows.quoted}, {names.parts.quoted}, t, table_updates TO pgjobs_weak")
    session.run(f"ALTER TABLE {names.rows.quoted} OWNER TO pgjobs_weak")
    session.run(f"ALTER TABLE {names.parts.quoted} OWNER TO pgjobs_weak")
    try:
        with connect(database, "late") as late:
            late.run("BEGIN")
            late.run(f"INSERT INTO {names.rows.quoted} VALUES (1)")
            late.run(f"UPDATE {names.parts.quoted} SET rows = 1, bytes = 2 WHERE attempt = 2")
            session.run("SET ROLE pgjobs_weak")
            with ThreadPoolExecutor(1) as pool:
                publishing = pool.submit(published, session, names, move, accepted)
                waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'relation'"
                while late.run(waiting) == [] and not publishing.done():
                    late.run("SELECT pg_stat_clear_snapshot()")
                late.run("COMMIT")
                told = publishing.result()
        session.run("RESET ROLE")
        assert (told.inserted, told.staged.discarded) == (2, 1)
        assert session.run("SELECT a FROM t ORDER BY a") == [[1], [2]]
    finally:
        session.run("RESET ROLE")
        session.run("DROP OWNED BY pgjobs_weak; DROP ROLE pgjobs_weak")
