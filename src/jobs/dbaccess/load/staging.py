"""Staging: the tables that store a load's rows until one transaction publishes them.

A load has two tables in its target's schema: one stores the rows, the other (`parts`) a row for each attempt at a part.
A load that puts bad rows aside has a third one for them (`rejects`).
The session that creates them holds their lock, so that other loads can distinguish them from leftovers.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.publications import publications_of
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.load import encoded_types
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

CLEANUP_LOCK_TIMEOUT = "10s"
"""How long a failed load waits for the sessions that use its tables, before it gives up dropping them."""

Extras = Iterable[tuple[str, str]]

_ROWS, _PARTS, _REJECTS = "pgjobs_rows_", "pgjobs_parts_", "pgjobs_rejects_"


@dataclass(frozen=True)
class Staging:
    """The names of a load's tables, and the columns of a COPY line, in their order.

    Attributes:
        extras: Those of the columns that the target does not have, or not yet with this type: each with its type.
        note: The comment on both tables if they are kept when the load fails (see kept/); empty if they are dropped.
        rejects: The table for rows that the server refuses, if they are put aside.
        encoded_for: The types for which rows are encoded, of columns of an existing target (see encoded_types).
    """

    rows: TableName
    parts: TableName
    columns: tuple[str, ...]
    extras: tuple[tuple[str, str], ...] = ()
    note: str = ""
    rejects: TableName | None = None
    encoded_for: tuple[tuple[str, str], ...] = ()

    @property
    def tables(self) -> tuple[TableName, ...]:
        """All of them."""
        return (self.rows, self.parts, *([self.rejects] if self.rejects is not None else []))

    def with_rejects(self) -> Staging:
        """Return the same with a table for rows that the server refuses."""
        token = self.rows.name[len(_ROWS) :]
        return replace(self, rejects=self.rows.sibling(_REJECTS + token))

    @property
    def copy_statement(self) -> str:
        """The COPY statement for lines in text format."""
        return f"COPY {self.rows.quoted} ({quote_names(self.columns)}) FROM STDIN"


def plan_staging(
    target: TableName,
    columns: Iterable[str],
    stream: str = "",
    extras: Extras = (),
    encoded_for: Iterable[tuple[str, str]] = (),
) -> Staging:
    """Choose unique names in the target's schema. The names of one stream's tables have a common prefix."""
    token = (_stream_token(stream) + uuid.uuid4().hex)[:32]
    return replace(_named(target, token, columns, extras), encoded_for=tuple(encoded_for))


def foreseen(target: TableName, columns: Iterable[str], extras: Extras = (), ending: str = "TOKEN") -> Staging:
    """Return names for a load that is only planned. Their ending stands for what is unique in each load."""
    return _named(target, ending, columns, extras)


def _named(target: TableName, token: str, columns: Iterable[str] = (), extras: Extras = ()) -> Staging:
    return Staging(target.sibling(_ROWS + token), target.sibling(_PARTS + token), tuple(columns), tuple(extras))


OF_PARTS = f"^{_PARTS}[0-9a-f]{{32}}$"
"""A regular expression for the names of tables of parts."""

OF_ANY = f"^({_ROWS}|{_PARTS}|{_REJECTS})[0-9a-f]{{32}}$"
"""One for the names of all tables of staging."""


def parts_of(stream: str) -> str:
    """Return one for the names of the tables of parts of one stream's batches."""
    return f"^{_PARTS}{_stream_token(stream)}[0-9a-f]{{16}}$"


def named_like(table: TableName) -> Staging:
    """Return the names of both tables, of which one is given."""
    return _named(table, table.name.rpartition("_")[2])


def _stream_token(stream: str) -> str:
    """Return the first 16 of the 32 hexadecimal digits in the names of a stream's tables; empty for no stream."""
    return hashlib.sha256(stream.encode()).hexdigest()[:16] if stream else ""


def create(
    session: Session, staging: Staging, target: TableName, types: Sequence[str] = (), *, logged: bool = False
) -> None:
    """Create both tables, and lock them until the session ends.

    Args:
        session: The session that keeps the lock.
        staging: Their names.
        target: The table into which the rows will be loaded.
        types: The types of the columns if the load creates the target; empty for an existing target.
        logged: Whether the staged table is to become the target that the load creates (see `create_for_new`).
    """
    hold(session, staging)
    if types:
        create_for_new(session, staging, types, logged=logged)
    else:
        create_beside(session, staging, target)


def hold(session: Session, staging: Staging) -> None:
    """Lock the tables until the session ends. `sweep` drops tables that no session has locked."""
    locks.wait(session, locks.staging(staging.rows))


def create_beside(session: Session, staging: Staging, target: TableName) -> None:
    """Create both tables for an existing target.

    The table of rows has the column types of the target, and none of its constraints. It is unlogged: the rows are
    written to the write-ahead log when they are moved to the target.
    """
    _create(session, staging, creating(staging, target), logged=False)


def create_for_new(session: Session, staging: Staging, types: Iterable[str], logged: bool) -> None:
    """Create both tables for a target that does not exist.

    Args:
        session: The session that creates them.
        staging: Their names.
        types: The types of the columns.
        logged: Whether the table of rows may become the target. If a publication of logical replication includes it, it
            is unlogged all the same: subscribers must see the rows under the target's name only.
    """
    _create(session, staging, creating(staging, types=types, logged=logged), logged=logged)


def creating(
    staging: Staging, target: TableName | None = None, types: Iterable[str] = (), *, logged: bool = False
) -> list[str]:
    """Return the statements that create both tables: beside an existing target, or else with these types."""
    kind = "TABLE" if logged else "UNLOGGED TABLE"
    settings = "WITH (autovacuum_enabled = false)"
    if target is None:
        columns = ", ".join(f"{quote_name(name)} {type_}" for name, type_ in zip(staging.columns, types))
        rows = f"({columns}) {settings}"
    else:
        rows = f"{settings} AS SELECT {selected(staging)} FROM {target.quoted} WITH NO DATA"
    rejects = [creating_rejects(staging.rejects, logged=logged)] if staging.rejects is not None else []
    return [f"CREATE {kind} {staging.rows.quoted} {rows}", creating_parts(staging, logged=logged), *rejects]


def creating_rejects(rejects: TableName, *, logged: bool) -> str:
    """Return the statement that creates the table of rows that the server refuses (see rejects.quarantine)."""
    kind = "TABLE" if logged else "UNLOGGED TABLE"
    return (
        f"CREATE {kind} {rejects.quoted} (part integer, attempt bigint, part_row bigint, file bigint, file_row bigint, "
        "column_name text, sqlstate text, reason text, message text, row jsonb, staged text, row_hash bigint) "
        "WITH (autovacuum_enabled = false)"
    )


def selected(staging: Staging) -> str:
    """Return the columns of staging, as a SELECT of the target has them: those that it lacks are NULL."""
    types = dict(staging.extras)
    return ", ".join(
        f"NULL::{types[name]} AS {quote_name(name)}" if name in types else quote_name(name) for name in staging.columns
    )


def creating_parts(staging: Staging, *, logged: bool) -> str:
    """Return the statement that creates the table of attempts and claims."""
    kind = "TABLE" if logged else "UNLOGGED TABLE"
    return (
        f"CREATE {kind} {staging.parts.quoted} (part integer, attempt bigint, rows bigint, bytes bigint, "
        "hashes numeric, failure text, pid integer, failed_row bigint, PRIMARY KEY (part, attempt))"
    )


def _create(session: Session, staging: Staging, statements: Iterable[str], *, logged: bool) -> None:
    """Create both tables in one transaction. A crash empties both or neither, so no claim outlives its rows.

    Unlogged tables are not replicated.
    """
    with session.transaction():
        for statement in statements:
            session.run(statement)
        encoded_types.check(session, staging.rows, staging.encoded_for)
        if logged and publications_of(session, staging.rows):
            for table in staging.tables:
                session.run(f"ALTER TABLE {table.quoted} SET UNLOGGED")
        if staging.note:
            annotate(session, staging)


def annotate(session: Session, staging: Staging) -> None:
    """Set the comments on both tables, in the open transaction."""
    for table in (staging.rows, staging.parts):
        statement = "SELECT concat('COMMENT ON TABLE ', %s::text, ' IS ', quote_literal(%s::text))"
        session.ask(session.value(statement, table.quoted, staging.note))


def create_parts(session: Session, staging: Staging) -> None:
    """Create only the table of parts, for a load that copies straight into its target, and lock it as `create` does."""
    hold(session, staging)
    with session.transaction():
        session.run(creating_parts(staging, logged=False))


def exists(session: Session, staging: Staging) -> bool:
    """Return whether the tables exist: they were neither published nor discarded."""
    return bool(session.run("SELECT 1 WHERE to_regclass(%s) IS NOT NULL", staging.parts.quoted))


def is_logged(session: Session, staging: Staging) -> bool:
    """Return whether the table of rows survives a crash, and may therefore become the target."""
    return tables.is_logged(session, staging.rows)


def end_writers(session: Session, staging: Staging) -> list[int]:
    """Terminate the sessions that write to the tables, and return their process ids.

    Call this when no attempt can be accepted any more: one that hangs, or whose machine is cut off, could keep its
    locks for hours. The locks identify the writers, also behind a connection pooler. A COPY that waits for its client
    reacts to a termination, but not to a cancellation. Sessions that this user may not terminate continue.
    """
    terminated = session.run(
        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND pg_has_role(usesysid, 'USAGE') "
        "AND (pid, datid) IN (SELECT pid, database FROM pg_locks "
        "WHERE mode = 'RowExclusiveLock' AND relation IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name))",
        [table.quoted for table in staging.tables],
    )
    return [pid for pid, _ in terminated]


def renaming(staging: Staging, target: TableName) -> list[str]:
    """Return the statements that make the table of rows the target."""
    return [
        *([f"COMMENT ON TABLE {staging.rows.quoted} IS NULL"] if staging.note else []),
        f"ALTER TABLE {staging.rows.quoted} RESET (autovacuum_enabled)",
        f"ALTER TABLE {staging.rows.quoted} RENAME TO {quote_name(target.name)}",
    ]


def creating_target(staging: Staging, target: TableName, keys: Sequence[str]) -> str:
    """Return the statement that creates a target of the same columns, with the keys, if any, as primary key."""
    key = f", PRIMARY KEY ({quote_names(keys)})" if keys else ""
    return f"CREATE TABLE {target.quoted} (LIKE {staging.rows.quoted}{key})"


def locking(staging: Staging) -> str:
    """Return the statement that excludes late attempts from both tables."""
    return f"LOCK TABLE {_listed(staging)} IN ACCESS EXCLUSIVE MODE"


def dropping(staging: Staging) -> str:
    """Return the statement that drops the tables."""
    return f"DROP TABLE IF EXISTS {_listed(staging)}"


def _listed(staging: Staging) -> str:
    return ", ".join(table.quoted for table in staging.tables)


def drop(session: Session, staging: Staging) -> None:
    """Drop both tables."""
    session.run(dropping(staging))


def discard(session: Session, staging: Staging) -> None:
    """Drop the tables of a failed load, if that is possible now."""
    with suppress(JobError), session.transaction():  # the failure that led here is the one to report
        end_writers(session, staging)
        session.run(f"SET LOCAL lock_timeout = '{CLEANUP_LOCK_TIMEOUT}'")
        drop(session, staging)
