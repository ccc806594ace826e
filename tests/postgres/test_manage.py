"""A capture shows its readers, forgets one, and leaves nothing behind when it is dropped."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from captures import COPY, captured, job_of, rows, until_ended

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.capture import manage
from jobs.flows.capture.job import CaptureJob, Stop
from jobs.flows.capture.table import run

T = TableName("t")
LEFT = """
SELECT relname FROM pg_class WHERE relname LIKE 'public%t%'
UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'public%t%'
UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'public%t%'
"""


@pytest.fixture(autouse=True)
def table(session: Session) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a')")


@contextmanager
def running(job: CaptureJob) -> Iterator[list[UsageError]]:
    """Run a job in a thread for the block; its error is in the list after that."""
    stop = Stop()
    errors: list[UsageError] = []

    def follow() -> None:
        try:
            run(job, stop)
        except UsageError as error:
            errors.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield errors
    finally:
        stop.request()
        thread.join()


def test_status_shows_what_each_reader_has_and_who_runs(database: Settings, session: Session) -> None:
    captured(database)
    captured(database, into="second")
    session.run("INSERT INTO t SELECT g, 'b' FROM generate_series(2, 11) g; UPDATE t SET a = 'c' WHERE id = 2")
    captured(database)
    until_ended(session)
    status = manage.status(database, T)
    assert [(r.label.rpartition(" ")[2], r.number, r.rows, r.waiting) for r in status.readers] == [
        ("t", 2, 11, 0),
        ("public.second", 1, 1, 11),
    ]
    assert [reader.delay > 0 for reader in status.readers] == [False, True]
    assert [reader.session for reader in status.readers] == [None, None]
    assert status.unarmed == ()
    session.run("ALTER TABLE t DISABLE TRIGGER public__t__pgjobs_t")
    assert manage.status(database, T).unarmed == ("public.t",)


def test_changes_are_kept_until_every_reader_has_them(database: Settings, session: Session) -> None:
    captured(database)
    captured(database, into="second")
    session.run("UPDATE t SET a = 'b'")
    captured(database)
    kept = "SELECT count(*) FROM public__t__pgjobs_c"
    assert session.run(kept) != [[0]]
    until_ended(session)
    second = manage.status(database, T).readers[1]
    manage.forget(database, T, second.id)
    assert session.run(kept) == [[0]]
    session.run("UPDATE t SET a = 'c'")
    assert captured(database, into="second").compared == 1
    assert rows(session) == rows(session, "second")


def test_a_first_copy_that_fails_or_dies_leaves_no_reader_for_which_changes_are_kept(
    database: Settings, session: Session
) -> None:
    session.run("CREATE TABLE other (LIKE t INCLUDING ALL); INSERT INTO other VALUES (9, 'of others')")
    with pytest.raises(UsageError, match="no capture has written them"):
        captured(database, into="other")
    assert manage.status(database, T).readers == ()
    captured(database)
    [died] = manage.status(database, T).readers
    session.run(f'UPDATE public__t__pgjobs_r SET number = 0; DELETE FROM pgjobs_captures; DELETE FROM "{COPY}"')
    captured(database)
    [reader] = manage.status(database, T).readers
    assert reader.id != died.id
    session.run("UPDATE t SET a = 'b'")
    captured(database)
    assert session.run("SELECT count(*) FROM public__t__pgjobs_c") == [[0]]


def test_a_drop_leaves_nothing_and_waits_for_no_reader_by_force(database: Settings, session: Session) -> None:
    captured(database, into="second")
    with running(job_of(database, seconds=None)) as errors:
        _until_running(database)
        with pytest.raises(UsageError, match=r"is reading the capture.*--force"):
            manage.drop(database, T)
        manage.drop(database, T, force=True)
        assert session.run(LEFT) == []
        session.run("UPDATE t SET a = 'b'")
        for _ in range(2400):
            if errors:
                break
            time.sleep(0.05)
    assert "was dropped" in str(errors[0])
    with pytest.raises(UsageError, match="is not captured"):
        manage.drop(database, T)
    captured(database)
    assert rows(session) == rows(session, COPY)


def test_a_column_that_is_renamed_ends_the_run_and_says_what_to_do(database: Settings, session: Session) -> None:
    captured(database)
    with running(job_of(database, seconds=None)) as errors:
        _until_running(database)
        session.run("ALTER TABLE t RENAME a TO b")
        session.run("UPDATE t SET b = 'c'")
        for _ in range(2400):
            if errors:
                break
            time.sleep(0.05)
    # Whether it meets the new name in a statement, or finds before that the table was altered.
    said = r"A column of t or its copy was renamed or dropped while this ran.*Start it again|has no column b.*Add it"
    assert re.search(said, str(errors[0]))


def _until_running(database: Settings) -> None:
    for _ in range(2400):
        if any(r.session and r.number for r in manage.status(database, T).readers):
            return
        time.sleep(0.05)
    raise AssertionError
