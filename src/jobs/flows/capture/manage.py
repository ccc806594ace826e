"""Shows who reads a capture and how far each is, forgets a reader, and removes a capture."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.capture import captured, file_keys, install, readers
from jobs.dbaccess.capture.objects import Capture, check_channel, default_channel
from jobs.dbaccess.capture.readers import Reader
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class CaptureStatus:
    """A capture.

    Attributes:
        unarmed: The table and partitions whose changes are not recorded, because triggers are missing or disabled.
        size: Bytes of the table of changes.
        readers: Who reads it.
    """

    table: str
    channel: str
    unarmed: tuple[str, ...]
    size: int
    readers: tuple[Reader, ...]


def status(settings: Settings, table: TableName, channel: str = "") -> CaptureStatus:
    """Return who reads a capture, and how far each reader is.

    Raises:
        UsageError: The table is not captured under this channel.
    """
    with _session(settings, table) as session:
        capture = _existing(session, table, channel)
        wanted = set(capture.triggers.values())
        return CaptureStatus(
            table=str(capture.table),
            channel=capture.channel,
            unarmed=tuple(str(r.name) for r in captured.relations(session, capture) if not wanted <= r.triggers),
            size=install.size(session, capture),
            readers=tuple(readers.status(session, capture)),
        )


def drop(settings: Settings, table: TableName, channel: str = "", *, force: bool = False) -> Capture:
    """Remove a capture: triggers, function and tables, for all of its readers. Copies stay as they are.

    The captured table itself may have been dropped. Then nobody can be reading it.

    Raises:
        UsageError: A reader is running, and `force` is not given; or the table is not captured.
    """
    with _session(settings, table) as session:
        gone = tables.find_table(session, table) is None
        capture = _left_behind(session, table, channel) if gone else _existing(session, table, channel)
        asked = [] if force or gone else readers.status(session, capture)
        running = [reader for reader in asked if reader.session]
        if running:
            raise UsageError(
                f"{_who(running[0])} is reading the capture {capture.channel} of {capture.table}.",
                "Stop it first, or give --force: it then fails.",
            )
        install.drop(session, capture)
        return capture


def forget(settings: Settings, table: TableName, reader: str, channel: str = "", *, force: bool = False) -> None:
    """Forget a reader that will not come back: changes are no longer kept for it.

    Raises:
        UsageError: There is no such reader, or it is running and `force` is not given.
    """
    with _session(settings, table) as session:
        capture = _existing(session, table, channel)
        found = next((known for known in readers.status(session, capture) if known.id == reader), None)
        if found is None:
            raise UsageError(f"{reader} is not a reader of the capture {capture.channel}.", "--status lists them.")
        if found.session and not force:
            raise UsageError(f"{_who(found)} is running.", "Stop it first, or give --force: it then fails.")
        readers.forget(session, capture, reader)
        file_keys.forget(session, capture, reader)
        readers.prune(session, capture)


def _session(settings: Settings, table: TableName) -> Session:
    return Connector(settings, "capture", str(table)).open("management")


def _existing(session: Session, table: TableName, channel: str) -> Capture:
    capture, _ = captured.find(session, table, channel)
    if not install.exists(session, capture):
        raise UsageError(
            f"{capture.table} is not captured under the channel {capture.channel}.",
            "Check --table and --channel. Triggers and the function alone are removed by DROP FUNCTION .. CASCADE.",
        )
    return capture


def _left_behind(session: Session, table: TableName, channel: str) -> Capture:
    """Return what remains of the capture of a table that was dropped.

    Raises:
        UsageError: Nothing does.
    """
    name = tables.full_name(session, table)
    channel = channel or default_channel(name)
    check_channel(channel)
    capture = Capture(channel, name)
    if not install.exists(session, capture):
        raise UsageError(
            f"There is no table {table}, and no capture of it under the channel {channel}.",
            "Check its name and schema, and --channel; names are taken as written.",
        )
    return capture


def _who(reader: Reader) -> str:
    return f"The reader {reader.id} (process {reader.session} of the server), which writes {reader.label},"
