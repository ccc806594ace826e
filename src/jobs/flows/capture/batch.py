"""One batch: from the state of the snapshot before to that of a new one, in one transaction of the target."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from jobs.dbaccess.capture import changes, install, position, positions, readers, target
from jobs.dbaccess.capture.changes import Look, Source
from jobs.dbaccess.capture.objects import Capture
from jobs.dbaccess.capture.position import Definition, Position
from jobs.dbaccess.capture.target import SETTINGS, Applied, Target
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.session import Session
from jobs.flows.capture.connections import Connections
from jobs.flows.capture.job import Stop

MOST_REPAIRS = 5
"""How often to create missing triggers at a time: partitions may be attached meanwhile."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """What a batch did.

    Attributes:
        position: After it.
        applied: What it changed in the target.
        compared: Why it compared the whole table; empty if it did not.
        delay: Seconds since the oldest change in it was made, when it began.
    """

    position: Position
    applied: Applied
    compared: str = ""
    delay: float = 0.0


def carry(use: Connections, stop: Stop) -> Batch | None:
    """Carry over what is new. Return None if nothing is.

    Raises:
        Stopped: The run is to stop. Nothing was carried over.
        UsageError: The capture was dropped, or the reader forgotten; or the target has rows of others.
        DatabaseError: A statement failed; nothing was carried over, unless the connection broke.
    """
    capture = use.source.capture
    try:
        return armed(use.at_source, capture, stop, lambda: _carry(use, stop, replace_rows=False))
    except DatabaseError as error:
        if not target.is_exchange(error) or use.at_source.closed or use.at_target.closed:
            raise
        logger.info("Rows seem to have exchanged a unique value: deleting and inserting them instead of updating.")
        return armed(use.at_source, capture, stop, lambda: _carry(use, stop, replace_rows=True))


def armed(session: Session, capture: Capture, stop: Stop, carry: Callable[[], Batch | None]) -> Batch | None:
    """Carry over what is new, after triggers were created that a new partition lacks, or that somebody has dropped.

    Args:
        session: At the source.
        capture: What is captured.
        stop: Ends the wait for locks.
        carry: Raises `Unarmed` if triggers are missing.

    Raises:
        UsageError: They are missing again and again.
    """
    for _ in range(MOST_REPAIRS):
        try:
            return carry()
        except Unarmed:
            logger.warning("%s lacks triggers of the capture: creating them.", capture.table)
        install.ensure(session, capture, stop.pause)
    raise UsageError(
        f"The triggers of {capture.table} remain incomplete or disabled, however often they are created.",
        "Enable them as the table's owner (--status names the tables), or find out who removes them.",
    )


class Unarmed(Exception):
    """Changes of the table, or of a partition, are not recorded."""


def _carry(use: Connections, stop: Stop, *, replace_rows: bool) -> Batch | None:
    capture = use.source.capture
    with use.at_target.transaction(**SETTINGS):
        with changes.snapshot(use.at_source, capture, stop.pause):
            look = changes.look(use.at_source, use.source, use.reader, use.seen, has_wal=use.has_wal)
            if not look.armed:
                raise Unarmed
            to, reason = decide(use.source, use.reader, use.position, look, use.target)
            if not (reason or look.operations):
                return None
            if reason:
                logger.info("Comparing all rows of %s: %s.", capture.table, reason)
            use.check_source()
            copied = _copy(use, stop, look, compare=bool(reason))
        if copied is not None:
            applied = Applied(copied)
        else:
            apply = target.apply_all if reason else target.apply_changed
            applied = apply(use.at_target, use.target, replace=replace_rows)
        target.check_unaltered(use.at_target, use.target)
        positions.store(use.at_target, use.mark, use.position, to)
        readers.make_durable(use.at_source, capture, use.reader, look.written)
    return Batch(to, applied, reason, look.delay)


def _copy(use: Connections, stop: Stop, look: Look, *, compare: bool) -> int | None:
    """Copy what is new, or all rows. Return their number if they need not be merged any more."""
    seen = use.seen
    if seen is None or compare:
        if use.position is None and target.has_rows(use.at_target, use.target):
            raise UsageError(
                f"{use.target.name} has rows, and no capture has written them: they would be deleted.",
                "Empty it, or name a table that does not exist.",
            )
        rows = changes.copy_all(use.at_source, use.source)
        return target.copy_all(use.at_target, use.target, stop.during(rows))
    rows = changes.copy_changed(use.at_source, use.source, seen, look.keys)
    target.copy_changed(use.at_target, use.target, stop.during(rows))
    return None


def decide(
    source: Source, reader: str, last: Position | None, look: Look, copy: Target | None = None
) -> tuple[Position, str]:
    """Return the position after this batch, and why it has to compare the whole table, if it has to.

    Args:
        source: What is carried over.
        reader: The reader's id.
        last: The position before; None for none.
        look: What the snapshot shows.
        copy: What is written; None for files.

    Raises:
        UsageError: The source does not know the reader any more.
    """
    capture = source.capture
    if look.registered is None:
        raise UsageError(
            f"The reader {reader} of {capture.table} was forgotten while it ran, or the capture was dropped.",
            "Start it again: it then compares the whole table.",
        )
    definition = Definition(
        channel=capture.channel,
        columns=source.columns,
        filter=source.condition,
        keys=tuple(key.name for key in capture.keys),
        relations=look.relations,
        altered=look.altered,
        copy="" if copy is None else copy.altered,
        stored="" if copy is None else copy.stored,
    )
    reason = position.reason_to_compare(
        last,
        reader=reader,
        history=look.history,
        definition=definition,
        registered=look.registered,
    )
    number = 1 + max(look.registered, 0 if last is None else last.number)
    to = Position(reader, number, look.snapshot, look.history, definition.to_json())
    return to, reason or position.marks(look.operations)
