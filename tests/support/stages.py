"""Attempts at the parts of a load into the table t, also one that hangs in the middle of its COPY."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

TARGET = TableName("t", "public")

PATIENCE = 120.0
"""Seconds until a test gives up waiting: it only bounds a hang."""


def lines(*numbers: int) -> list[Counted]:
    return [Counted(f"{number}\tx\n".encode(), 1) for number in numbers]


def attempt(session: Session, names: Staging, part: int, number: int, *numbers: int) -> Receipt:
    assert parts.begin_attempt(session, names, part, number)
    parts.copy_part(session, names, part, number, lines(*numbers))
    return Receipt(part, number)


def tables(session: Session) -> list[str]:
    return [row[0] for row in session.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]


@contextmanager
def stuck_copy(database: Settings, names: Staging, part: int, number: int) -> Iterator[list[TransientError]]:
    """An attempt that hangs in mid-COPY while the block runs, and then goes on; what it raised."""
    hangs, go_on = threading.Event(), threading.Event()
    raised: list[TransientError] = []

    def blocks() -> Iterator[Counted]:
        yield from lines(*range(10))
        hangs.set()
        go_on.wait()
        yield from lines(*range(10))

    def run() -> None:
        with connect(database, "stuck") as stuck:
            parts.begin_attempt(stuck, names, part, number)
            try:
                parts.copy_part(stuck, names, part, number, blocks())
            except TransientError as error:
                raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert hangs.wait(PATIENCE)
        yield raised
    finally:
        go_on.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
