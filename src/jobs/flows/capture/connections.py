"""The sessions of a capture into a table, at the source and at the target, and what they have to do."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from jobs.dbaccess import locks
from jobs.dbaccess.capture import changes, column_types, install, positions, target
from jobs.dbaccess.capture.changes import Source
from jobs.dbaccess.capture.position import Position, Seen
from jobs.dbaccess.capture.positions import Mark
from jobs.dbaccess.capture.target import Target
from jobs.dbaccess.catalog import query_columns, tables
from jobs.dbaccess.catalog.fitting_types import OF_ZONE, fits, shown
from jobs.dbaccess.catalog.publications import tell_subscribers
from jobs.dbaccess.catalog.unique_indexes import respelled, taken_for_equal
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.capture.job import CaptureJob, Stop
from jobs.flows.capture.source_end import (
    Former,
    lock_reader,
    lock_target,
    open_source,
    origin,
    set_timeouts,
    source_of,
    succeed,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Connections:
    """Two sessions, and what they have to do.

    Attributes:
        at_source: Listens, and takes snapshots.
        at_target: Holds the target's lock.
        source: What is carried over.
        target: Where to.
        mark: What the position belongs to.
        reader: The reader's id.
        position: How far it is; None before its first batch.
        has_wal: As `changes.tells_wal`.
        altered: Another text after each ALTER TABLE of the source's columns.
    """

    at_source: Session
    at_target: Session
    source: Source
    target: Target
    mark: Mark
    reader: str
    position: Position | None
    has_wal: bool
    altered: str

    @property
    def seen(self) -> Seen | None:
        """The snapshot of the position."""
        return None if self.position is None else Seen.parse(self.position.snapshot)

    def check_source(self) -> None:
        """Check, in the batch's snapshot, that the source's columns have the types that were compared with the copy's.

        Raises:
            TransientError: They were altered. The next attempt compares them again.
        """
        column_types.check(self.at_source, self.source.capture.table, self.source.columns, self.altered)

    def moved(self, to: Position) -> Connections:
        """Return the same after a batch."""
        return replace(self, position=to)


def connect(job: CaptureJob, stack: ExitStack, stop: Stop, former: Former) -> Connections:
    """Open both sessions, and create what is missing.

    Args:
        job: What to do.
        stack: Closes the sessions.
        stop: Ends the wait for locks.
        former: The sessions that this run has used before.

    Raises:
        UsageError: The job cannot be done as it is stated.
        TransientError: Another job holds the target, or a lock was not granted.
        DatabaseError: A server cannot be reached, or refuses something.
    """
    if job.into is None:
        raise UsageError("There is no table to write.", "Give --into.")
    at_source, capture, table = open_source(job, stack, former)
    at_target = stack.enter_context(job.target.open("target"))
    succeed(at_target, "target", former)
    set_timeouts(at_target)
    positions.ensure(at_target)
    into = tables.full_name(at_target, job.into)
    lock_target(at_target, job, locks.capture_target(into))
    source = source_of(at_source, job, capture, table)
    source_name = origin(at_source, capture)
    types = column_types.read(at_source, table.name)
    columns = {name: types[name].name for name in source.columns}
    found = _target(at_target, columns, tuple(key.name for key in capture.keys), into)
    if source_name == origin(at_target, replace(capture, table=found.name)):
        raise UsageError(f"{found.name} cannot be captured into itself.", "Name another --into.")
    _check_types(at_source, at_target, table.name, found)
    _check_collations(at_target, found)
    _check_money(at_source, at_target, found)
    mark = Mark(str(found.name), found.oid, source_name)
    position = positions.find(at_target, mark.name, mark.oid, mark.source)
    install.ensure(at_source, capture, stop.pause)
    reader = lock_reader(at_source, capture, position, f"{job.target.settings.address} {found.name}")
    target.begin_batches(at_target, found)
    return Connections(
        at_source=at_source,
        at_target=at_target,
        source=replace(source, columns=found.columns),
        target=found,
        mark=mark,
        reader=reader,
        position=position,
        has_wal=changes.tells_wal(at_source),
        altered=column_types.digest([types[name] for name in found.columns]),
    )


def _check_types(at_source: Session, at_target: Session, table: TableName, found: Target) -> None:
    """Refuse columns that would change values: their text is read as another type, without an error.

    Refuse also keys of which one value has several texts, for each of which the copy would have a row.

    Raises:
        UsageError: There are some. The message lists them.
    """
    source = query_columns.describe_table(at_source, table)
    copy = query_columns.describe_table(at_target, found.name)

    def told(names: Iterable[str]) -> str:
        return "; ".join(
            f"{name} is {shown(source[name])} at the source and {shown(copy[name])} in the copy" for name in names
        )

    changed = [name for name in found.columns if not fits(source[name], copy[name])]
    if changed:
        raise UsageError(
            f"{found.name} does not take all values of the source as they are: {told(changed)}.",
            "Give these columns the types of the source (ALTER TABLE), or leave them out (--columns).",
        )
    converted = [key for key in found.keys if copy[key].scalar.base != source[key].scalar.base]
    equal_texts = respelled(at_source, table, converted)
    ambiguous = [key for key in converted if key in equal_texts or source[key].scalar.base in OF_ZONE]
    if ambiguous:
        raise UsageError(
            f"{found.name} would have several rows for a key of which one value has several texts: {told(ambiguous)}.",
            "Give the key of the copy the type of the source.",
        )


def _check_collations(at_target: Session, found: Target) -> None:
    """Refuse keys of the copy that take texts for equal that are two keys of the source.

    Raises:
        UsageError: There are some.
    """
    if alike := taken_for_equal(at_target, found.name, found.keys):
        raise UsageError(
            f"{found.name} takes different keys for equal: the collation of {', '.join(alike)} is not deterministic.",
            "Give the key of the copy the collation of the source.",
        )


def _check_money(at_source: Session, at_target: Session, found: Target) -> None:
    """Refuse amounts of money if the sessions write them differently.

    Raises:
        UsageError: They do.
    """
    money = [name for name, type_name in zip(found.columns, found.types) if type_name in ("money", "money[]")]
    setting = "SELECT current_setting('lc_monetary')"
    if money and (there := at_source.value(setting)) != (here := at_target.value(setting)):
        raise UsageError(
            f"{', '.join(money)} of {found.name} is money, which lc_monetary says how to read: {there!r} at the "
            f"source, {here!r} at the copy.",
            "Set the same one for the roles, or leave the column out (--columns).",
        )


def _target(at_target: Session, columns: Mapping[str, str], keys: tuple[str, ...], into: TableName) -> Target:
    """Return the table that is written, which is created if it does not exist.

    Args:
        at_target: The session.
        columns: Those to carry over, and their types.
        keys: The source's primary key.
        into: The table.

    Raises:
        UsageError: It cannot take the columns, has no schema to be created in, or was dropped meanwhile.
    """
    if tables.find_table(at_target, into) is None:
        if into.schema is None or not tables.schema_exists(at_target, into.schema):
            raise UsageError(f"There is no schema for the table {into}.", "Create the schema first.")
        with at_target.transaction():
            at_target.run(target.create_table(into, columns.items(), keys))
        tell_subscribers(at_target, into)
        logger.info("Created %s.", into)
    found = tables.find_table(at_target, into)
    if found is None:
        raise UsageError(f"The target {into} was dropped meanwhile.", "Start this again.")
    return target.describe(at_target, found, columns, keys)
