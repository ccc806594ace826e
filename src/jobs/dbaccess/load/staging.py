"""Staging: where a load's parts wait until all are published in one transaction.

A load has two tables beside its target: one holds the rows, the other (`parts`) a row for each attempt at a part.
An attempt copies its rows and claims its part in one transaction. Several attempts at a part may do so; which of them
counts is not for them to say, but for Spark's driver (see receipts.py).
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, DataRejected, JobError, LoadError, TransientError
from jobs.dbaccess.network.copy_in import Block
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

logger = logging.getLogger(__name__)

CLEANUP_LOCK_TIMEOUT = "10s"
"""How long dropping the tables of a failed load waits for whoever uses them."""

COPY_SETTINGS: Mapping[str, str] = {"array_nulls": "on"}
"""What a COPY line's meaning depends on: off, a NULL among an array's elements becomes the text NULL.

The line's own forms of numbers, dates, instants and bytes are the same in every DateStyle, IntervalStyle and TimeZone.
client_encoding is stated when connecting. Other settings are the user's: they say how the server reads text that the
data brings for a column of another type (01/02/2026 for a date), and what limits, triggers and tablespaces apply.
"""


@dataclass(frozen=True)
class Staging:
    """The names of a load's two tables, and the columns that a COPY line holds, in their order."""

    rows: TableName
    parts: TableName
    columns: tuple[str, ...]

    @property
    def copy_statement(self) -> str:
        """COPY of lines in text format."""
        return f"COPY {self.rows.quoted} ({quote_names(self.columns)}) FROM STDIN"


@dataclass(frozen=True)
class Tally:
    """What is staged of a load; `discarded` counts the attempts whose rows are not."""

    parts: int
    rows: int
    bytes: int
    discarded: int
    failure: str | None


@dataclass(frozen=True)
class Counted:
    """A block of a COPY stream, how many lines end in it, and the sum of their rows' hashes, where there are some."""

    block: Block
    rows: int
    hashes: int = 0


def plan_staging(target: TableName, columns: Iterable[str], stream: str = "") -> Staging:
    """Names of its own for a load's tables, in the target's schema; a stream's begin alike."""
    token = (_stream_token(stream) + uuid.uuid4().hex)[:32]
    return Staging(target.sibling(f"{_ROWS}{token}"), target.sibling(f"{_PARTS}{token}"), tuple(columns))


_ROWS, _PARTS = "pgjobs_rows_", "pgjobs_parts_"


def _stream_token(stream: str) -> str:
    """The first of the 32 hexadecimal digits in the names of a stream's tables; none for no stream."""
    return hashlib.sha256(stream.encode()).hexdigest()[:16] if stream else ""


def left_by_stream(session: Session, target: TableName, stream: str) -> list[Staging]:
    """The tables of a stream's batches that ended without being published or discarded."""
    found = session.run(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND n.nspname = %s AND c.relname ~ %s ORDER BY 1",
        target.schema,
        f"^{_PARTS}{_stream_token(stream)}[0-9a-f]{{16}}$",
    )
    tokens = [name[len(_PARTS) :] for [name] in found]
    return [Staging(target.sibling(_ROWS + token), target.sibling(_PARTS + token), ()) for token in tokens]


def exists(session: Session, staging: Staging) -> bool:
    """Whether the tables are there: not yet published, nor discarded."""
    return bool(session.run("SELECT 1 WHERE to_regclass(%s) IS NOT NULL", staging.parts.quoted))


def hold(session: Session, staging: Staging) -> None:
    """Hold the tables until this session ends: what nobody holds is swept."""
    locks.wait(session, locks.staging(staging.rows))


def sweep(session: Session) -> list[str]:
    """Drop what loads left behind whose driver died, and return the names of what was dropped.

    A load that runs holds its tables. Tables of other users, and those that a task still copies into, are left to
    the next sweep. What cannot be dropped, for a view is on it, say, is told and stays: this load goes on.
    """
    left = session.run(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND c.relname ~ %s AND pg_has_role(c.relowner, 'USAGE') ORDER BY 2, 1",
        f"^({_ROWS}|{_PARTS})[0-9a-f]{{32}}$",
    )
    dropped = []
    for schema, name in left:
        table = TableName(name, schema)
        try:
            with session.transaction(lock_timeout="1s"):
                if _is_free(session, table):
                    session.run(f"DROP TABLE IF EXISTS {table.quoted}")
                    dropped.append(name)
        except TransientError:
            continue
        except DatabaseError as error:
            logger.warning("%s, left behind by a load, cannot be dropped: %s", table, error.message)
    return dropped


def _is_free(session: Session, table: TableName) -> bool:
    """Whether no load holds a staging table; then no other session takes it before the transaction ends."""
    rows = table.sibling(_ROWS + table.name.rpartition("_")[2])
    return locks.take_in_transaction(session, locks.staging(rows))


def create_beside(session: Session, staging: Staging, target: TableName) -> None:
    """Make both tables for a target that exists.

    The rows' table takes the columns' types, and leaves the constraints to the target. Its rows are written to the log
    when they reach the target.
    """
    rows = (
        f"{staging.rows.quoted} WITH (autovacuum_enabled = false) AS "
        f"SELECT {quote_names(staging.columns)} FROM {target.quoted} WITH NO DATA"
    )
    _create(session, staging, rows, logged=False)


def create_for_new(session: Session, staging: Staging, types: Iterable[str], logged: bool) -> None:
    """Make both tables for a target that is missing.

    Args:
        session: where to.
        staging: their names.
        types: of the columns.
        logged: that the rows' table may become the target. They are not logged where replication would publish them:
            subscribers are to see the rows under the target's name alone.
    """
    columns = ", ".join(f"{quote_name(name)} {type_}" for name, type_ in zip(staging.columns, types))
    _create(session, staging, f"{staging.rows.quoted} ({columns}) WITH (autovacuum_enabled = false)", logged=logged)


def _create(session: Session, staging: Staging, rows: str, *, logged: bool) -> None:
    """Make both tables in one transaction; a crash empties both or none, so that no part is there without its claim.

    What is not logged is not replicated either.
    """
    kind = "TABLE" if logged else "UNLOGGED TABLE"
    with session.transaction():
        session.run(f"CREATE {kind} {rows}")
        session.run(
            f"CREATE {kind} {staging.parts.quoted} (part integer, attempt bigint, rows bigint, bytes bigint, "
            "failure text, PRIMARY KEY (part, attempt))"
        )
        if logged and tables.publications_of(session, staging.rows):
            for table in (staging.rows, staging.parts):
                session.run(f"ALTER TABLE {table.quoted} SET UNLOGGED")


def is_logged(session: Session, staging: Staging) -> bool:
    """Whether the rows' table survives a crash, and so may become the target."""
    found = session.run("SELECT relpersistence = 'p' FROM pg_class WHERE oid = to_regclass(%s)", staging.rows.quoted)
    return found == [[True]]


def begin_attempt(session: Session, staging: Staging, part: int, attempt: int) -> bool:
    """Note that an attempt at a part begins; False where it need not, for the load has failed.

    That the part is claimed is no reason: the attempt that did so may not be one that counts.
    """
    parts = staging.parts.quoted
    return bool(
        session.change(
            f"INSERT INTO {parts} (part, attempt) SELECT %s::integer, %s::bigint "
            f"WHERE NOT EXISTS (SELECT FROM {parts} WHERE failure IS NOT NULL)",
            part,
            attempt,
        )
    )


def copy_part(session: Session, staging: Staging, part: int, attempt: int, blocks: Iterable[Counted]) -> None:
    """Copy a part's lines and claim them, in one transaction.

    Raises:
        LoadError: the server counted other rows than were sent.
        DatabaseError: as the server or the wire has it; nothing of this attempt stays.
    """
    meter = Meter(blocks)
    with session.transaction(**COPY_SETTINGS):
        with session.users_path():  # domains' checks are the user's
            copied = session.copy_in(staging.copy_statement, meter)
        if copied != meter.rows:
            raise LoadError(f"Part {part}: {meter.rows} rows were sent, but the server counted {copied}.")
        session.run(
            f"UPDATE {staging.parts.quoted} SET rows = %s, bytes = %s WHERE part = %s AND attempt = %s",
            meter.rows,
            meter.bytes,
            part,
            attempt,
        )


def told(error: JobError) -> str:
    """Why a part cannot be copied, for `record_failure`: not every error is about a row."""
    is_row = isinstance(error, (DataRejected, ConstraintViolated))
    return f"{'The server refused a row' if is_row else 'A part could not be copied'}: {error}"


def record_failure(session: Session, staging: Staging, part: int, attempt: int, reason: str) -> None:
    """Note that the load cannot succeed, so that later attempts end at once and the driver can tell why."""
    session.change(
        f"UPDATE {staging.parts.quoted} SET failure = %s WHERE part = %s AND attempt = %s",
        reason,
        part,
        attempt,
    )


def tally(session: Session, staging: Staging) -> Tally:
    """What is claimed so far, whether it will count or not; of a part that was claimed again, the last claim."""
    parts = staging.parts.quoted
    [row] = session.run(
        "SELECT count(*), coalesce(sum(rows), 0)::bigint, coalesce(sum(bytes), 0)::bigint, "
        f"(SELECT count(*) FROM {parts}) - count(*), (SELECT min(failure) FROM {parts}) "
        f"FROM (SELECT DISTINCT ON (part) rows, bytes FROM {parts} "
        "WHERE rows IS NOT NULL ORDER BY part, attempt DESC) AS claimed"
    )
    return Tally(*row)


def under_way(session: Session, staging: Staging) -> tuple[int, int]:
    """Rows and bytes that running COPYs have sent and not claimed yet (PostgreSQL 14's pg_stat_progress_copy)."""
    [[rows, size]] = session.run(
        "SELECT coalesce(sum(tuples_processed), 0)::bigint, coalesce(sum(bytes_processed), 0)::bigint "
        "FROM pg_stat_progress_copy WHERE relid = to_regclass(%s)",
        staging.rows.quoted,
    )
    return rows, size


def end_attempts(session: Session, staging: Staging) -> list[int]:
    """End the sessions that write into the tables, and return their process ids; what they have not claimed is undone.

    For when no attempt can be of use any more: one that hangs, or whose machine is cut off, could keep its locks for
    hours. The locks tell who writes, behind a connection pooler, too. A COPY that waits for its client heeds a
    termination, and no cancellation. Sessions that this user may not end are left alone.
    """
    ended = session.run(
        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND pg_has_role(usesysid, 'USAGE') "
        "AND (pid, datid) IN (SELECT pid, database FROM pg_locks "
        "WHERE mode = 'RowExclusiveLock' AND relation IN (to_regclass(%s), to_regclass(%s)))",
        staging.rows.quoted,
        staging.parts.quoted,
    )
    return [pid for pid, _ in ended]


def drop(session: Session, staging: Staging) -> None:
    """Drop both tables."""
    session.run(f"DROP TABLE IF EXISTS {staging.rows.quoted}, {staging.parts.quoted}")


def discard(session: Session, staging: Staging) -> None:
    """Drop the tables of a load that failed, as far as that can be done now."""
    with suppress(JobError), session.transaction():  # the failure that led here is the one to tell of
        end_attempts(session, staging)
        session.run(f"SET LOCAL lock_timeout = '{CLEANUP_LOCK_TIMEOUT}'")
        drop(session, staging)


class Meter:
    """The blocks of a part on their way, counted as they pass."""

    def __init__(self, blocks: Iterable[Counted]) -> None:
        self._blocks = blocks
        self.rows = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[Block]:
        for counted in self._blocks:
            self.rows += counted.rows
            self.bytes += len(counted.block)
            yield counted.block
