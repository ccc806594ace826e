"""What is new for a reader: looked at and copied within one snapshot, in which the table is locked against rewrites."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from jobs.dbaccess.capture.captured import check_kind, relations_query
from jobs.dbaccess.capture.objects import Capture
from jobs.dbaccess.capture.patience import short_timeout, until_locked
from jobs.dbaccess.capture.position import Seen
from jobs.dbaccess.errors import DatabaseError, JobError, TransientError, UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name, quote_names

FEW = 20_000
"""Keys. The rows of so many are found by the primary key's index, whatever the server estimates."""

_SETTINGS = (
    "SET LOCAL DateStyle = ISO; SET LOCAL IntervalStyle = postgres; SET LOCAL bytea_output = hex; "
    "SET LOCAL extra_float_digits = 1; SET LOCAL statement_timeout = 0; "
    "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL jit = off"
)
_BY_INDEX = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"

_SERVER = "(SELECT system_identifier FROM pg_control_system()) || '/' || current_database()"
_TIMELINE = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
"""Transaction ids are comparable within a server, and within a timeline, which a promotion begins."""

_ALTERED = (
    "md5(concat(string_agg(written, ',' ORDER BY oid), (SELECT string_agg(concat(attnum, ' ', xmin), ',' "
    "ORDER BY attnum) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = ANY (%s::text[]))))"
)
"""No trigger fires for ALTER TABLE, although it may change values: ALTER COLUMN ... TYPE ... USING, RENAME COLUMN, or
DROP COLUMN with ADD COLUMN. Nor does one fire between DISABLE TRIGGER and ENABLE TRIGGER. Each of them writes rows of
the catalog."""

_ON_DISK = "SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()"


@dataclass(frozen=True)
class Source:
    """What a reader carries over.

    Attributes:
        columns: Of the table, those of the key among them.
        condition: The filter, checked; empty for all rows.
    """

    capture: Capture
    columns: tuple[str, ...]
    condition: str = ""

    @property
    def rows(self) -> str:
        """All current rows, as a SELECT."""
        where = f" WHERE (\n{self.condition}\n)" if self.condition else ""
        return f"SELECT {quote_names(self.columns)} FROM {self.capture.table.quoted}{where}"

    def changed(self, seen: Seen) -> str:
        """Return a SELECT of the keys that changed since a snapshot, with their current rows.

        The first column is true if there is no such row, or the filter does not accept it. Then only the columns of the
        key are not NULL.
        """
        names = {key.name: column for key, column in zip(self.capture.keys, self.capture.columns)}
        columns = ", ".join(
            f"COALESCE(t.{quote_name(name)}, k.{names[name]})" if name in names else f"t.{quote_name(name)}"
            for name in self.columns
        )
        same = " AND ".join(
            f"t.{quote_name(key.name)} {key.equality} k.{column}"
            for key, column in zip(self.capture.keys, self.capture.columns)
        )
        absent = f"t.{quote_name(self.capture.keys[0].name)} IS NULL"
        return (
            f"SELECT {absent}, {columns} FROM ({self.changed_keys(seen)}) AS k LEFT JOIN ({self.rows}) AS t ON {same}"
        )

    def changed_keys(self, seen: Seen) -> str:
        """Return a SELECT of the keys that changed since a snapshot, each once."""
        arrays = ", ".join(f"pg_catalog.unnest(c.{column})" for column in self.capture.columns)
        return (
            f"SELECT DISTINCT {', '.join(f'u.{column}' for column in self.capture.columns)} "
            f"FROM {self.capture.changes.quoted} AS c CROSS JOIN LATERAL ROWS FROM ({arrays}) "
            f"AS u ({', '.join(self.capture.columns)}) WHERE {seen.later}"
        )


@dataclass(frozen=True)
class Look:
    """What a snapshot shows.

    Attributes:
        snapshot: As PostgreSQL's pg_snapshot.
        history: As in `position.Position`.
        relations: The oids of the table and its partitions.
        armed: Whether each of them has all triggers, enabled.
        altered: What is another text after each ALTER TABLE that may change values of the table, or that disables or
            enables its triggers.
        registered: The number that the source has stored for the reader; None if it does not know it.
        keys: How many keys were recorded since the position, those that were recorded several times included.
        operations: The kinds of these changes, marks among them.
        delay: Seconds since the oldest of them was made.
        written: The place in the WAL up to which the server has written, in memory; empty if it does not tell.
    """

    snapshot: str
    history: str
    relations: tuple[int, ...]
    armed: bool
    altered: str
    registered: int | None
    keys: int
    operations: tuple[str, ...]
    delay: float
    written: str


def tells_wal(session: Session) -> bool:
    """Return whether the server has a WAL of its own. Aurora has none, and no timelines: a failover loses nothing."""
    try:
        session.run(f"SELECT {_TIMELINE}")
        session.run(_ON_DISK)
    except TransientError:
        raise
    except DatabaseError:
        return False
    return True


def are_waiting(session: Session, capture: Capture, seen: Seen) -> bool:
    """Return whether there are changes that a snapshot did not see."""
    found = session.value(f"SELECT EXISTS (SELECT FROM {capture.changes.quoted} AS c WHERE {seen.later})")
    return bool(found)


@contextmanager
def snapshot(session: Session, capture: Capture, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Lock the table, then take one snapshot for the block.

    A snapshot that is older than a TRUNCATE or a rewrite of the table would find no rows in it, so the lock is first.

    Args:
        session: At the source.
        capture: What is captured.
        sleep: Waits between attempts to lock it; it may raise.

    Raises:
        TransientError: The lock was not granted in time.
    """
    timeout = short_timeout(session)
    until_locked(lambda: _begin(session, capture, timeout), capture.table, sleep)
    try:
        yield
    except BaseException:
        with suppress(JobError):  # the block's own error says more
            session.run("ROLLBACK")
        raise
    session.run("COMMIT")


def _begin(session: Session, capture: Capture, lock_timeout: str) -> None:
    session.run(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE; {_SETTINGS}")
    try:
        session.run(
            f"SET LOCAL lock_timeout = '{lock_timeout}'; LOCK TABLE {capture.table.quoted} IN ACCESS SHARE MODE"
        )
    except BaseException:
        with suppress(JobError):
            session.run("ROLLBACK")
        raise


def look(session: Session, source: Source, reader: str, seen: Seen | None, *, has_wal: bool) -> Look:
    """Look at what is new.

    Args:
        session: Within `snapshot`.
        source: What is carried over.
        reader: The reader's id.
        seen: Its position; None for a new one, to which nothing is new.
        has_wal: As `tells_wal`.

    Raises:
        UsageError: The capture was dropped, or the table has become one whose changes cannot be captured.
    """
    capture = source.capture
    check_kind(session, capture.table)
    exists = session.value("SELECT to_regclass(%s) IS NOT NULL", capture.changes.quoted)
    if not exists:
        raise UsageError(
            f"The capture {capture.channel} of {capture.table} was dropped.", "Start it again to create it anew."
        )
    looking = _looking(capture, seen, has_wal=has_wal)
    [row] = session.run(looking, reader, *capture.triggers.values(), capture.table.quoted, list(source.columns))
    text, history, registered, oids, armed, altered, keys, operations, delay, written = row
    return Look(
        snapshot=text,
        history=history,
        relations=tuple(oids),
        armed=armed,
        altered=altered,
        registered=registered,
        keys=keys,
        operations=tuple(operations),
        delay=delay,
        written=written,
    )


def _looking(capture: Capture, seen: Seen | None, *, has_wal: bool) -> str:
    """Return the query of `look`. Its values: the reader's id, the triggers' names, the table, and its columns."""
    history = f"{_SERVER} || '/' || {_TIMELINE}" if has_wal else _SERVER
    written = "pg_current_wal_insert_lsn()::text" if has_wal else "''"
    names = ", ".join("%s" for _ in capture.triggers)
    return (
        f"SELECT pg_current_snapshot()::text, {history}, "
        f"(SELECT number FROM {capture.readers.quoted} WHERE reader = %s), found.*, new.*, "
        f"{written} FROM ("
        f"SELECT array_agg(oid ORDER BY oid), bool_and((SELECT count(*) FROM unnest(triggers) AS name "
        f"WHERE name IN ({names})) = {len(capture.triggers)}), {_ALTERED} "
        f"FROM ({relations_query(capture)}) AS r) AS found, ("
        f"SELECT coalesce(sum(cardinality({capture.columns[0]})), 0)::bigint, "
        "coalesce(array_agg(DISTINCT op::text), '{}'), "
        "coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 "
        f"FROM {capture.changes.quoted} AS c WHERE {'false' if seen is None else seen.later}) AS new"
    )


def copy_changed(session: Session, source: Source, seen: Seen, keys: int) -> Iterator[bytes]:
    """Yield the changed keys and their rows, as COPY's text; see `Source.changed`.

    Args:
        session: Within `snapshot`.
        source: What is carried over.
        seen: The reader's position.
        keys: About how many there are.
    """
    if keys <= FEW:
        session.run(_BY_INDEX)
    yield from session.copy_out(f"COPY ({source.changed(seen)}) TO STDOUT")


def copy_all(session: Session, source: Source) -> Iterator[bytes]:
    """Yield all current rows, as COPY's text."""
    yield from session.copy_out(f"COPY ({source.rows}) TO STDOUT")


def check_columns(source_columns: Sequence[str], wanted: Sequence[str], keys: Sequence[str]) -> tuple[str, ...]:
    """Return the columns to carry over, in the table's order: those that are wanted, and the key's.

    Raises:
        UsageError: The table has no such column.
    """
    missing = [name for name in wanted if name not in source_columns]
    if missing:
        raise UsageError(f"The table has no column {', '.join(missing)}.", f"It has {', '.join(source_columns)}.")
    return tuple(name for name in source_columns if not wanted or name in wanted or name in keys)
