"""Direct parts: an attempt copies its part straight into the target, and claims it, in one transaction.

Nothing can delete the rows of an attempt after its commit. So exactly one attempt at a part may commit, and only one
that knows that it has read all of its input (see jobs.spark.plans.repeatable). Three things decide:

- The parts table of the run. It exists only while the run goes on: an attempt locks it first and writes into it last.
  When the driver has dropped it, no attempt can commit any more, not even one of a machine that was cut off.
- The record of what is there, by its primary key: for a load of one part the marker in the ledger, for others a claim
  (claims.py). Of two attempts at a part, the second one finds the record of the first, and rolls back.
- The answer to COMMIT. If it is lost, the attempt looks for its row in the parts table, over another connection.

An attempt that hangs could make later ones wait for keys that it inserted. A later attempt therefore terminates it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from jobs.dbaccess import backends
from jobs.dbaccess.catalog.row_triggers import takes_every_row
from jobs.dbaccess.catalog.tables import PARTITIONED, Table
from jobs.dbaccess.errors import LoadError, UsageError, plural
from jobs.dbaccess.load import encoded_types, staging
from jobs.dbaccess.load.copying.parts import COPY_SETTINGS, Counted, Meter, Tally, tally
from jobs.dbaccess.load.definitions.alterations import SCHEMA_MODE, STRICT
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.partitions.missing.rules import FLAG
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_names

_DISPLACED_WITHIN = 10_000
"""Milliseconds to wait for the end of an earlier attempt that was terminated."""


STAGED, ONE_PART, PARTS = WAYS = ("staged", "one part", "parts")
"""How rows come into the table, as reports say it."""

AUTO = "auto"
PUBLISHING = (AUTO, STAGED, PARTS)
"""What a user may want. "auto" copies one small part straight into the table, and stages all else."""


def check_parts(
    move: Move,
    has_scripts: bool,
    *,
    verify: bool,
    has_id: bool = True,
    has_indexes: bool = False,
    is_partitioned: bool = False,
    schema_mode: str = STRICT,
) -> None:
    """Check, without a server, that a load's parts can be copied straight into the table.

    Args:
        move: The mode.
        has_scripts: Whether there is SQL of the user's own in the publishing transaction.
        verify: Whether the load is to be verified.
        has_id: Whether the user gives a load id.
        has_indexes: Whether indexes are to be built after the rows are in.
        is_partitioned: Whether a new table is to be partitioned.
        schema_mode: What the load may change in an existing table.

    Raises:
        UsageError: They cannot. The message says why.
    """
    staged = "Leave out --publish parts: rows are staged, and published in one transaction."
    if move.mode != "append":
        raise UsageError(f"--publish parts only appends rows, and the mode is {move.mode}.", staged)
    if move.supplies_partitions or is_partitioned:
        raise UsageError(f"--publish parts creates no partitions: {FLAG} and --partition-by do not go with it.", staged)
    if verify:
        raise UsageError("--publish parts has no moment at which the whole load could be verified.", staged)
    if schema_mode != STRICT:
        raise UsageError(
            f"--publish parts has no transaction of the whole load in which {SCHEMA_MODE} could change columns.", staged
        )
    if has_scripts:
        raise UsageError("--publish parts has no transaction of the whole load for scripts to be part of.", staged)
    if has_indexes:
        raise UsageError("--publish parts builds no --index.", "Create the table first, or the indexes afterwards.")
    if not has_id:
        raise UsageError(
            "--publish parts needs a load id: without one, a rerun would copy again what a failed run has copied.",
            "Give --load-id, the same one in each run.",
        )


class Record(Protocol):
    """Records, in an attempt's transaction, that a part is in the table."""

    def write(self, session: Session, part: int, rows: int, size: int) -> bool:
        """Write the record. Return False if there is one of this part, so that these rows must not be committed."""


@dataclass(frozen=True)
class Marker:
    """Records a load of one part: the marker itself says that its part is in the table.

    Attributes:
        ledger: The ledger, whose table has its full name: a task does not look it up.
        target: The table, as the marker names it.
    """

    ledger: Ledger
    load_id: str
    target: TableName

    def write(self, session: Session, part: int, rows: int, size: int) -> bool:  # noqa: ARG002 - of Record
        """Write the marker. Return False if the id has one."""
        return self.ledger.record(session, self.load_id, str(self.target))


@dataclass(frozen=True)
class Direct:
    """Where attempts copy to, and what makes them count.

    Attributes:
        names: The tables of the run, of which only the parts table exists, and the columns of a COPY line.
        record: What is written with the rows.
        lock_timeout: The longest time to wait for each lock, in seconds; None for what the user's settings say.
    """

    target: TableName
    names: Staging
    record: Record
    lock_timeout: int | None = None

    @property
    def copy_statement(self) -> str:
        """The COPY statement for lines in text format."""
        return f"COPY {self.target.quoted} ({quote_names(self.names.columns)}) FROM STDIN"


class Superseded(Exception):
    """Another attempt has committed this part. Ends the transaction of this one."""


def why_not(session: Session, table: Table) -> str:
    """Return why a table's rows cannot be copied straight into it as INSERT would insert them; empty if they can be.

    COPY ignores rules, and is refused where policies apply. If triggers leave rows out, the counts prove nothing.
    """
    if table.kind not in ("r", PARTITIONED):
        return f"{table.name} is not a plain or partitioned table"
    if not takes_every_row(session, table.name):
        return f"triggers or rules of {table.name} may change which rows are stored"
    if session.run("SELECT 1 WHERE row_security_active(to_regclass(%s)::oid)", table.name.quoted):
        return f"policies of row-level security apply to {table.name}"
    return ""


def begin_attempt(session: Session, direct: Direct, part: int, attempt: int) -> bool:
    """Record that an attempt begins, and end earlier attempts at its part.

    Returns:
        False if the part is already in the table, or the load has failed: the attempt need not begin.
    """
    parts = direct.names.parts.quoted
    with session.transaction():
        begun = session.run(
            f"INSERT INTO {parts} (part, attempt, pid) SELECT %s::integer, %s::bigint, pg_backend_pid() "
            f"WHERE NOT EXISTS (SELECT FROM {parts} WHERE failure IS NOT NULL OR (part = %s::integer "
            f"AND rows IS NOT NULL)) RETURNING (SELECT count(*) FROM {parts} WHERE part = %s::integer)",
            *(part, attempt, part, part),
        )
    if begun and begun != [[0]]:
        session.run(
            "SELECT pg_terminate_backend(pid, %s) FROM (SELECT DISTINCT p.pid FROM "
            f"{parts} AS p JOIN pg_locks AS l USING (pid) WHERE p.part = %s AND p.attempt <> %s AND p.rows IS NULL "
            "AND l.relation = to_regclass(%s) AND l.mode = 'RowExclusiveLock') AS earlier",
            *(_DISPLACED_WITHIN, part, attempt, parts),
        )
    return bool(begun)


def copy_part(session: Session, direct: Direct, part: int, attempt: int, blocks: Iterable[Counted]) -> None:
    """Copy a part's lines into the target and record it, in one transaction.

    Raises:
        Superseded: Another attempt has committed this part. Nothing of this one remains.
        LoadError: The server counted a different number of rows than was sent; or columns have other types by now.
        DatabaseError: The table rejects a row, the load has ended, or the connection broke.
    """
    meter = Meter(blocks)
    limits = {} if direct.lock_timeout is None else {"lock_timeout": f"{direct.lock_timeout}s"}
    with session.transaction(**COPY_SETTINGS, **limits):
        session.run(f"LOCK TABLE {direct.names.parts.quoted} IN ROW EXCLUSIVE MODE")
        with session.users_path():
            copied = session.copy_in(direct.copy_statement, meter)
        session.end_deferral()
        encoded_types.check(session, direct.target, direct.names.encoded_for)
        if copied != meter.rows:
            raise LoadError(
                f"Part {part}: {plural(meter.rows, 'row was', 'rows were')} sent, but the server counted {copied:,}."
            )
        if not direct.record.write(session, part, meter.rows, meter.bytes):
            raise Superseded
        _claim(session, direct.names, part, attempt, meter)


def _claim(session: Session, names: Staging, part: int, attempt: int, meter: Meter) -> None:
    """Claim the part in the parts table of the run.

    Raises:
        LoadError: The server crashed since the attempt began, which emptied that table.
    """
    claimed = session.change(
        f"UPDATE {names.parts.quoted} SET rows = %s, bytes = %s WHERE part = %s AND attempt = %s",
        *(meter.rows, meter.bytes, part, attempt),
    )
    if claimed != 1:
        raise LoadError(f"Part {part}: the attempt is not recorded any more.", "Run the load again.")


def is_there(session: Session, direct: Direct, part: int) -> bool:
    """Return whether an attempt of this run at a part has committed."""
    query = f"SELECT 1 FROM {direct.names.parts.quoted} WHERE part = %s AND rows IS NOT NULL"
    return bool(session.run(query, part))


def was_committed(session: Session, direct: Direct, part: int, broken: Session) -> bool:
    """Return whether an attempt whose connection broke had committed its part. Its server process ends first."""
    backends.end(session, broken.backend)
    return is_there(session, direct, part)


def close(session: Session, names: Staging) -> Tally | None:
    """Drop the parts table of the run, so that no attempt can commit any more.

    Returns:
        What the run has committed, or None if the table was dropped before.

    Raises:
        JobError: It could not be dropped. Attempts may still commit.
    """
    with _ended(session, names) as there:
        return tally(session, names) if there else None


def end(session: Session, names: Staging) -> None:
    """Do so for an earlier run, without a look at its table: another version of pgjobs may have made its columns.

    Raises:
        JobError: As `close`.
    """
    with _ended(session, names):
        pass


@contextmanager
def _ended(session: Session, names: Staging) -> Iterator[bool]:
    """End the writers of a run. Lock its parts table for the block, which gets whether it is there, and drop it."""
    with session.transaction(lock_timeout=staging.CLEANUP_LOCK_TIMEOUT):
        staging.end_writers(session, names)
        there = staging.exists(session, names)
        if there:
            session.run(f"LOCK TABLE {names.parts.quoted} IN ACCESS EXCLUSIVE MODE")
        yield there
        if there:
            staging.drop(session, names)
