"""The ledger of finished loads: Luigi's own marker table, written in the transaction that publishes.

Layout and default name are those of luigi.contrib.postgres, so that Luigi's tasks and these jobs see each other's work:
https://github.com/spotify/luigi/blob/master/luigi/contrib/postgres.py
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.catalog.unique_indexes import has_unique_index
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.marker_targets import in_json, is_named
from jobs.dbaccess.locks import Lock
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, is_text

MARKER_TABLE = "table_updates"
"""The default of Luigi's `[postgres] marker-table`, and ours."""

MAX_ID_BYTES = 2692
"""The longest id that the marker table's index takes: a B-tree's entry is at most 2,704 bytes, and 12 are its headers.
https://github.com/postgres/postgres/blob/master/src/include/access/nbtree.h (BTMaxItemSize)"""

_COLUMNS = {"update_id": "TEXT PRIMARY KEY", "target_table": "TEXT", "inserted": "TIMESTAMP DEFAULT NOW()"}

_TEXTS = frozenset({"text", "varchar"})
_SUITABLE = {"update_id": _TEXTS, "target_table": _TEXTS, "inserted": frozenset({"timestamp", "timestamptz"})}
"""The types of an existing marker table's columns, by pg_type's names."""


def check_id(load_id: str, name: str = "The load id", reserved: int = 0) -> None:
    """Check that an id can be recorded.

    Args:
        load_id: The id.
        name: What the caller calls it.
        reserved: The number of bytes that the caller will append.

    Raises:
        UsageError: The id is blank or too long, or PostgreSQL cannot store it as text.
    """
    if not load_id.strip():
        raise UsageError(f"{name} is empty.", "Give an id, or check the variable that was to hold it.")
    size, most = len(load_id.encode(errors="replace")), MAX_ID_BYTES - reserved
    if size > most:
        raise UsageError(f"{name} has {size:,} bytes, and may have {most:,}.", "Give a shorter one.")
    if not is_text(load_id):
        raise UsageError(f"{name} {load_id!r} contains NUL, or bytes that are not UTF-8.", "Give an id without them.")


@dataclass(frozen=True)
class Marker:
    """A marker of a finished load.

    Attributes:
        load_id: The id.
        table: What it names: usually a table.
        inserted: When it was written, by the server's clock in the time zone of its session; None if that is not known.
    """

    load_id: str
    table: str | None
    inserted: dt.datetime | None


@dataclass(frozen=True)
class Ledger:
    """A marker table, and what it records.

    Attributes:
        table: The table's name. Without a schema, it is the first of this name on the user's search_path that has a
            trusted owner.
    """

    table: TableName

    @classmethod
    def parse(cls, name: str) -> Ledger:
        """Return the ledger whose marker table has a name: `[schema.]table`.

        Raises:
            UsageError: The text is not a table's name.
        """
        return cls(TableName.parse(name))

    @property
    def _markers(self) -> OwnTable:
        columns = ", ".join(f"{name} {type_}" for name, type_ in _COLUMNS.items())
        return OwnTable(self.table.name, columns, schema=self.table.schema)

    def ensure(self, session: Session) -> None:
        """Create the marker table if it is missing. If the user may not, another user has to create it once.

        Raises:
            UsageError: The table's owner is not trusted, it lacks something, or there is no schema to create it in.
        """
        if self._find(session) is None:
            self._markers.ensure(session)

    def place(self, session: Session) -> tuple[TableName, str]:
        """Return the marker table's full name, and the statement that is to create it; empty if it exists.

        Raises:
            UsageError: As `ensure`.
        """
        found = self._find(session)
        if found is not None:
            return found, ""
        name = self._markers.place(session)
        return name, self._markers.creation(name)

    def _find(self, session: Session) -> TableName | None:
        """Return the marker table's full name, or None if there is no such table.

        Raises:
            UsageError: The table's owner is not trusted, or it lacks something.
        """
        name = self._markers.find(session)
        table = None if name is None else tables.find_table(session, name)
        if table is None:
            return None
        by_name = {column.name: column for column in table.columns}
        lacking = [
            f"a column {name} of the type {' or '.join(sorted(types))}"
            for name, types in _SUITABLE.items()
            if name not in by_name or by_name[name].base_type not in types or by_name[name].generated
        ]
        if not tables.is_logged(session, table.name):
            lacking.append("a write-ahead log: it is unlogged, and a crash would empty it")
        if not has_unique_index(session, table.name, ["update_id"]):
            lacking.append("a primary key or unique index on update_id alone")
        required = [column.name for column in table.columns if column.required and column.name not in _SUITABLE]
        lacking += [f"a default for {name}, which is NOT NULL" for name in required]
        if lacking:
            raise UsageError(
                f"{table.name} cannot be the marker table. It lacks {'; '.join(lacking)}.",
                "Change it, or name another one, which is created if it is missing: --marker-table.",
            )
        return table.name

    def located(self, session: Session) -> Ledger:
        """Return the ledger with the full name of its table, which then need not be looked up on a search_path."""
        return Ledger(self._markers.find(session) or self.table)

    def lock(self, session: Session, load_id: str) -> Lock:
        """Return the lock of a load id in this ledger.

        All marker tables of the default name have one lock for an id. Earlier versions have no others, and which of
        them is meant depends on search_path.
        """
        if self.table.name == MARKER_TABLE:
            return locks.load(load_id)
        return locks.load(load_id, self._markers.find(session) or self.table)

    def is_recorded(self, session: Session, load_id: str, *targets: TableName) -> bool:
        """Return whether a load of this id into this table has finished.

        Args:
            session: A session of the ledger's database.
            load_id: The id of the load.
            targets: The table under its full name; several for a release, which has one marker.

        Raises:
            UsageError: The id is taken by something else.
        """
        recorded = self.recorded_target(session, load_id)
        if recorded is None:
            return False
        self.check_same_table(load_id, recorded, *targets)
        return True

    def check_same_table(self, load_id: str, recorded: str, *targets: TableName) -> None:
        """Check that a marker names a table, or the tables of a release.

        Args:
            load_id: The id of the marker.
            recorded: The marker's target_table.
            targets: The table under its full name; several for a release.

        Raises:
            UsageError: The marker names another table, or none.
        """
        if is_named(recorded, targets):
            return
        taken = f"by a marker of {recorded!r}" if recorded else "by a marker that names no table"
        raise UsageError(
            f"The load id {load_id!r} is taken {taken}, which is not {', '.join(map(str, targets))}.",
            f"Give each load its own id. If that was this load, set the marker's target_table in {self.table}.",
        )

    def check_recorded(self, session: Session, load_id: str, *targets: TableName) -> None:
        """Check, after `record` wrote no marker, that there is one of this table, or of all of these.

        Raises:
            UsageError: The id is taken by something else.
            LoadError: There is none that this user can see.
        """
        if not self.is_recorded(session, load_id, *targets):
            raise LoadError(
                f"The marker of {load_id!r} could not be written into {self.table}, and is not there.",
                "Nothing was done. Check the triggers and policies of that table, and run it again.",
            )

    def recorded_target(self, session: Session, load_id: str) -> str | None:
        """Return what the marker of an id names: a table, or whatever another program wrote. None if there is none."""
        markers = session.run(f"SELECT target_table FROM {self._markers.quoted(session)} WHERE update_id = %s", load_id)
        return str(markers[0][0] or "") if markers else None

    def exists(self, session: Session, load_id: str) -> bool:
        """Return whether an id is recorded, for whichever table. It is not if the marker table does not exist.

        Raises:
            UsageError: The marker table's owner is not trusted, or it lacks something.
        """
        return bool(self.markers(session, load_id=load_id, limit=1))

    def markers(
        self, session: Session, *, load_id: str | None = None, table: str | None = None, limit: int
    ) -> list[Marker]:
        """Return the latest markers, the newest first. There are none if the marker table does not exist.

        Args:
            session: A session.
            load_id: Only the marker of this id.
            table: Only markers that name this table, as they write it, alone or among those of a release.
            limit: The most to return.

        Raises:
            UsageError: The marker table's owner is not trusted, or it lacks something.
        """
        name = self._find(session)
        if name is None:
            return []
        found = session.run(
            f"SELECT update_id, target_table, inserted FROM {name.quoted} "
            "WHERE (%s::text IS NULL OR update_id = %s::text) AND (%s::text IS NULL OR target_table = %s::text "
            "OR (starts_with(target_table, '[') AND strpos(target_table, %s::text) > 0)) "
            "ORDER BY inserted DESC NULLS LAST, update_id LIMIT %s::bigint",
            *(load_id, load_id, table, table, in_json(table or ""), limit),
        )
        return [Marker(*row) for row in found]

    def forget(self, session: Session, load_id: str) -> bool:
        """Delete the marker of an id, so that it can be loaded again. Return whether there was one."""
        name = self._find(session)
        if name is None:
            return False
        return bool(session.change(f"DELETE FROM {name.quoted} WHERE update_id = %s", load_id))

    def record(self, session: Session, load_id: str, target: str) -> bool:
        """Write the marker in the open transaction. Return False if the id has one already.

        If another transaction has written a marker of this id, this waits until that transaction ends.
        """
        return bool(session.change(recording(self._markers.quoted(session)), load_id, target))


def recording(table: str) -> str:
    """Return the statement that writes a marker, whose id and target are its values.

    Args:
        table: The marker table, quoted.
    """
    return (
        f"INSERT INTO {table} (update_id, target_table, inserted) "
        "VALUES (%s, %s, now()) ON CONFLICT (update_id) DO NOTHING"
    )


LUIGIS = Ledger(TableName(MARKER_TABLE))
"""The ledger of Luigi's default marker table."""
