"""A table that is kept equal to a captured one. Its rows and the reader's position change in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs.dbaccess import table_locks
from jobs.dbaccess.capture import column_types
from jobs.dbaccess.catalog import storage
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.catalog.unique_indexes import equalities, has_unique_index, respelled
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, TransientError, UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names
from jobs.dbaccess.sqlstates import UNIQUE_VIOLATION

_BATCH = "pg_temp.pgjobs_capture_batch"

ANALYZED = 10_000
"""Rows. A batch with more of them is worth the time that ANALYZE takes."""

SETTINGS = {
    "lock_timeout": "60s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "array_nulls": "on",
    "xmloption": "content",
}
"""Of the transaction that writes. Its locks must not wait for ever: the source's snapshot is held meanwhile. What the
source's text means depends on the others: with array_nulls off, a NULL in an array is the text NULL."""


@dataclass(frozen=True)
class Target:
    """The table that is written.

    Attributes:
        columns: Those that are written, in the order of the rows that come.
        types: Their types as the batch stores them: without domains, whose checks the table itself makes.
        keys: The columns that identify a row.
        equalities: The operators by which a unique index compares them.
        respelled: Those of the keys whose values may be equal and differ, as 1.0 and 1.00: they are updated, too.
        has_identity: Whether the INSERT needs OVERRIDING SYSTEM VALUE, for an identity column.
        altered: Another text after each ALTER TABLE of the columns.
        stored: Its files, as of `storage.files_of`.
    """

    name: TableName
    oid: int
    columns: tuple[str, ...]
    types: tuple[str, ...]
    keys: tuple[str, ...]
    equalities: tuple[str, ...]
    respelled: tuple[str, ...]
    has_identity: bool
    altered: str
    stored: str

    def create_batch(self) -> str:
        """Return the statement that creates the temporary table of a batch."""
        columns = ", ".join(f"c{place} {type_name}" for place, type_name in enumerate(self.types))
        return (
            f"CREATE TEMPORARY TABLE pgjobs_capture_batch (gone boolean NOT NULL DEFAULT false, {columns}) "
            "ON COMMIT DELETE ROWS"
        )

    def copy_batch(self, *, with_gone: bool) -> str:
        """Return the statement that copies a batch."""
        columns = ["gone"] if with_gone else []
        columns += [f"c{place}" for place in range(len(self.columns))]
        return f"COPY {_BATCH} ({', '.join(columns)}) FROM STDIN"

    def copy_rows(self) -> str:
        """Return the statement that copies rows right into the table."""
        return f"COPY {self.name.quoted} ({quote_names(self.columns)}) FROM STDIN"

    def _same_key(self) -> str:
        places = [self.columns.index(key) for key in self.keys]
        return " AND ".join(
            f"t.{quote_name(key)} {equality} b.c{place}"
            for key, equality, place in zip(self.keys, self.equalities, places)
        )

    def delete_gone(self, *, others: bool = False) -> str:
        """Return the statement that deletes the rows that the source has deleted.

        Args:
            others: Delete all rows of the batch's keys, to insert them anew.
        """
        which = "" if others else "b.gone AND "
        return f"DELETE FROM {self.name.quoted} AS t USING {_BATCH} AS b WHERE {which}{self._same_key()}"

    def delete_missing(self) -> str:
        """Return the statement that deletes the rows that a batch with all rows does not have."""
        return (
            f"DELETE FROM {self.name.quoted} AS t WHERE NOT EXISTS (SELECT FROM {_BATCH} AS b WHERE {self._same_key()})"
        )

    def insert(self) -> str:
        """Return the statement that inserts the batch's rows."""
        values = ", ".join(f"b.c{place}" for place in range(len(self.columns)))
        overriding = "OVERRIDING SYSTEM VALUE " if self.has_identity else ""
        return (
            f"INSERT INTO {self.name.quoted} AS t ({quote_names(self.columns)}) {overriding}"
            f"SELECT {values} FROM {_BATCH} AS b WHERE NOT b.gone"
        )

    def upsert(self) -> str:
        """Return the statement that inserts the batch's rows, or updates those that differ."""
        others = [quote_name(name) for name in self.columns if name not in self.keys or name in self.respelled]
        into = f"{self.insert()} ON CONFLICT ({quote_names(self.keys)}) DO"
        if not others:
            return f"{into} NOTHING"
        changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in others)
        old, new = ", ".join(f"t.{name}" for name in others), ", ".join(f"EXCLUDED.{name}" for name in others)
        # Compares the stored bytes, so it works for types without an equality, such as json.
        return (
            f"{into} UPDATE SET {changes} "
            f"WHERE ROW({old})::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW({new})::pg_catalog.record"
        )


@dataclass(frozen=True)
class Applied:
    """What a batch changed in the target."""

    written: int = 0
    deleted: int = 0

    def __add__(self, other: Applied) -> Applied:
        """Return the sum."""
        return Applied(self.written + other.written, self.deleted + other.deleted)


def create_table(name: TableName, columns: Iterable[tuple[str, str]], keys: Iterable[str]) -> str:
    """Return the statement that creates the target.

    Args:
        name: Its full name.
        columns: Names and types.
        keys: Its primary key.
    """
    listed = ", ".join(f"{quote_name(column)} {type_name}" for column, type_name in columns)
    return f"CREATE TABLE {name.quoted} ({listed}, PRIMARY KEY ({quote_names(keys)}))"


def describe(session: Session, table: Table, columns: Mapping[str, str], keys: tuple[str, ...]) -> Target:
    """Return the target, checked.

    Args:
        session: At the target.
        table: The table.
        columns: Those of the source that it is to take, and their types there.
        keys: The source's primary key.

    Raises:
        UsageError: It cannot take the columns, or has no unique index on the keys.
    """
    by_name = {column.name: column for column in table.columns}
    missing = [name for name in columns if name not in by_name]
    if missing:
        added = ", ".join(f"ADD COLUMN {quote_name(name)} {columns[name]}" for name in missing)
        raise UsageError(
            f"{table.name} has no column {', '.join(missing)}, which the source has.",
            f"Add it to the target: ALTER TABLE {table.name.quoted} {added}; "
            "or name the columns to carry over: --columns.",
        )
    if table.kind not in ("r", "p") or not has_unique_index(session, table.name, keys):
        raise UsageError(
            f"{table.name} has no unique index on {', '.join(keys)}, the key of the source, or a deferrable one.",
            "Create one that is not deferrable.",
        )
    _check_sees_all(session, table.name)
    types = column_types.read(session, table.name)
    written = tuple(name for name in columns if not _is_computed(by_name[name], types[name].is_identity))
    lost = [key for key in keys if key not in written]
    if lost:
        raise UsageError(f"{table.name} computes the key column {', '.join(lost)}.", "Name another --into.")
    operators = equalities(session, table.name, keys)
    oid = session.value("SELECT %s::regclass::oid::bigint", table.name.quoted)
    return Target(
        name=table.name,
        oid=oid,
        columns=written,
        types=tuple(types[name].name for name in written),
        keys=keys,
        equalities=tuple(operators[key] for key in keys),
        respelled=respelled(session, table.name, keys),
        has_identity=any(types[name].is_identity for name in written),
        altered=column_types.digest([types[name] for name in written]),
        stored=storage.files_of(session, oid),
    )


def _is_computed(column: Column, is_identity: bool) -> bool:
    return column.generated and not is_identity


def check_unaltered(session: Session, target: Target) -> None:
    """Check, in the transaction that has written the table, that it is as it was described.

    Raises:
        TransientError: Its columns were altered, or it was emptied. It has to be described, and compared, again.
        UsageError: Policies may hide rows of it, which would stay although the source has deleted them.
    """
    column_types.check(session, target.name, target.columns, target.altered)
    if not storage.are_kept(target.stored, storage.files_of(session, target.oid)):
        raise TransientError(f"{target.name} changed while this ran: {storage.REPLACED}.")
    _check_sees_all(session, target.name)


def _check_sees_all(session: Session, name: TableName) -> None:
    if session.value("SELECT row_security_active(to_regclass(%s)::oid)", name.quoted):
        raise UsageError(
            f"Policies of row-level security may hide rows of {name} from this user: they would not be deleted.",
            f"ALTER TABLE {name.quoted} DISABLE ROW LEVEL SECURITY, or use its owner or a role with BYPASSRLS.",
        )


def begin_batches(session: Session, target: Target) -> None:
    """Create the temporary table of batches for this session."""
    with session.transaction():
        session.run(target.create_batch())


def has_rows(session: Session, target: Target) -> bool:
    """Return whether the target has any row. Within a transaction, no other session adds one after that."""
    table_locks.keep_writers_out(session, target.name)
    return bool(session.run(f"SELECT 1 FROM {target.name.quoted} LIMIT 1"))


def copy_changed(session: Session, target: Target, rows: Iterable[bytes]) -> None:
    """Copy changed keys and their rows into the batch; `rows` are those of `changes.copy_changed`."""
    if session.copy_in(target.copy_batch(with_gone=True), rows) > ANALYZED:
        session.run(f"ANALYZE {_BATCH}")


def apply_changed(session: Session, target: Target, *, replace: bool) -> Applied:
    """Delete, insert and update what the batch has, within a transaction.

    Args:
        session: At the target.
        target: The table.
        replace: Delete and insert in place of updating. Rows that exchange a unique value cannot be updated one by one.
    """
    with session.users_path():
        deleted = session.change(target.delete_gone())
        if replace:
            session.change(target.delete_gone(others=True))
        return Applied(session.change(target.insert() if replace else target.upsert()), deleted)


def copy_all(session: Session, target: Target, rows: Iterable[bytes]) -> int | None:
    """Copy all rows of the source, within a transaction: into the target if it is empty, else into the batch.

    Returns:
        The number of rows that were copied into the target; None if they are in the batch.
    """
    if not has_rows(session, target):
        with session.users_path():
            return session.copy_in(target.copy_rows(), rows)
    session.copy_in(target.copy_batch(with_gone=False), rows)
    session.run(f"ANALYZE {_BATCH}")
    return None


def apply_all(session: Session, target: Target, *, replace: bool) -> Applied:
    """Make the target equal to the batch; rows that are equal are left alone. The arguments are as above."""
    with session.users_path():
        deleted = session.change(target.delete_missing())
        if replace:
            session.change(target.delete_gone(others=True))
        return Applied(session.change(target.insert() if replace else target.upsert()), deleted)


def is_exchange(error: DatabaseError) -> bool:
    """Return whether a unique constraint other than the key's failed, perhaps only because of the order of updates."""
    return isinstance(error, ConstraintViolated) and error.sqlstate == UNIQUE_VIOLATION
