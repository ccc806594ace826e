"""Where the position of a table is stored: beside the ledger, by the transaction that publishes the rows.

A load stores its position in place of the one that it read at its start. If that is not there any more, another load
has published meanwhile: this one would skip changes, or undo some, and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.dbaccess.catalog import storage, tables
from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.catalog.unique_indexes import has_unique_index
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.followed.definition import Definition
from jobs.dbaccess.load.followed.source_position import Position, Stored
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

POSITIONS = OwnTable(
    "pgjobs_positions",
    "target text PRIMARY KEY, relation oid NOT NULL, kind text NOT NULL, source text NOT NULL, identity text NOT NULL, "
    "version text NOT NULL, committed text NOT NULL, definition text NOT NULL, load_id text NOT NULL, "
    "stored timestamptz NOT NULL DEFAULT now()",
    {"storage": "text"},
)
"""`storage` tells whether the rows can still be there; NULL for not to ask."""


@dataclass(frozen=True)
class Step:
    """The step that a load takes from one position to the next.

    Attributes:
        table: The full name of the table of positions.
        before: What was stored when the load began; None for nothing.
        to: The new position.
        definition: What of the source the table has.
        relation: The oid of the table when the load began; None if the load creates it.
        files: The files of the table and its partitions when the load began; empty not to ask.
    """

    table: TableName
    before: Stored | None
    to: Position
    definition: Definition
    relation: int | None = None
    files: str = ""


def ensure(session: Session, ledger: Ledger) -> TableName:
    """Create the table of positions if it is missing, and return its full name.

    Args:
        session: A session.
        ledger: The ledger, whose table has its full name.

    Raises:
        UsageError: The table's owner is not trusted, or a crash would empty it, or it lacks its key.
        LoadError: It disappeared.
    """
    own = replace(POSITIONS, schema=ledger.table.schema)
    own.ensure(session)
    table = own.find(session)
    if table is None:
        raise LoadError(f"There is no table {POSITIONS.name} any more.", "Run the load again.")
    if not tables.is_logged(session, table) or not has_unique_index(session, table, ["target"]):
        raise UsageError(
            f"{table} cannot hold positions: it is unlogged, or has no primary key (target).",
            "Rename it, and the load makes another one.",
        )
    return table


def find(session: Session, table: TableName, target: TableName) -> Stored | None:
    """Return the position that is stored under the name of a table, or None.

    Args:
        session: A session.
        table: The full name of the table of positions.
        target: The full name of the table.
    """
    rows = session.run(
        "SELECT kind, source, version, identity, committed, relation::bigint, definition, load_id, "
        "coalesce(storage, '') "
        f"FROM {table.quoted} WHERE target = %s",
        str(target),
    )
    if not rows:
        return None
    [[*position, relation, definition, load_id, files]] = rows
    return Stored(Position(*position), relation, Definition.parse(definition), load_id, files)


def relation_of(session: Session, target: TableName) -> int | None:
    """Return the oid of a table, or None if there is none of this name."""
    oid = session.value("SELECT to_regclass(%s)::oid::bigint", target.quoted)
    return None if oid is None else int(oid)


def has_rows(session: Session, target: TableName) -> bool:
    """Return whether a table has any rows."""
    with session.users_path():
        return bool(session.run(f"SELECT 1 FROM {target.quoted} LIMIT 1"))


def store(session: Session, target: TableName, step: Step, load_id: str) -> None:
    """Store the new position of a table, in the transaction that publishes its rows, when the table is there.

    If another transaction has stored one, this waits until that transaction ends.

    Raises:
        LoadError: The position, or the table, is not the one that the load began with, or its rows may be gone.
    """
    to, before = step.to, step.before
    # Its rows are written, so that nobody can rename or empty it any more.
    relation = relation_of(session, target)
    if step.relation is not None and relation != step.relation:
        raise LoadError(f"{target} was replaced by another table meanwhile.", "Nothing was loaded. Run it again.")
    files = "{}" if relation is None else storage.files_of(session, relation)
    if step.files and not storage.are_kept(step.files, files):
        raise LoadError(f"{target}: meanwhile {storage.REPLACED}.", "Nothing was loaded. Run it again.")
    kept = files if has_rows(session, target) else None
    has = step.definition.text
    values = (target.quoted, to.kind, to.source, to.identity, to.version, to.committed, has, load_id, kept)
    if before is None:
        stored = session.change(
            f"INSERT INTO {step.table.quoted} (target, relation, kind, source, identity, version, committed, "
            "definition, load_id, storage) VALUES (%s, to_regclass(%s)::oid, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (target) DO NOTHING",
            *(str(target), *values),
        )
    else:
        stored = session.change(
            f"UPDATE {step.table.quoted} SET relation = to_regclass(%s)::oid, kind = %s, source = %s, identity = %s, "
            "version = %s, committed = %s, definition = %s, load_id = %s, storage = %s, stored = now() "
            "WHERE target = %s AND load_id = %s AND version = %s AND relation = %s::bigint::oid",
            *(*values, str(target), before.load_id, before.position.version, before.relation),
        )
    if not stored:
        was = "no position" if before is None else before.position.state
        raise LoadError(
            f"Another load has published changes into {target} meanwhile: it had {was} when this load began.",
            "Nothing was loaded. Run it again: it reads what is new since then.",
        )
