"""Tables of pgjobs' own in the user's database: found by their names, and created if they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.dbaccess import locks
from jobs.dbaccess.catalog.publications import tell_subscribers
from jobs.dbaccess.catalog.tables import name_for_new_table, schema_exists
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class OwnTable:
    """A table of pgjobs' own.

    Attributes:
        name: The name without a schema.
        columns: The columns, as in CREATE TABLE.
        added: Columns that later versions added, with their types. They are NULL in rows of earlier versions.
        schema: The schema, or None for those of the user's search_path.
    """

    name: str
    columns: str
    added: Mapping[str, str] = field(default_factory=dict)
    schema: str | None = None

    def quoted(self, session: Session) -> str:
        """Return the table's name for a statement.

        Raises:
            UsageError: As `find`.
        """
        return (self.find(session) or TableName(self.name, self.schema)).quoted

    def find(self, session: Session) -> TableName | None:
        """Return the table, or None if there is none: on the user's search_path, the first one with a trusted owner.

        Somebody who may create tables there could have created one, whose triggers would run as this user.

        Raises:
            UsageError: There is only one with an owner who is not trusted.
        """
        schemas = [self.schema]
        if self.schema is None:
            with session.users_path():
                schemas = session.value("SELECT pg_catalog.current_schemas(true)")
        candidates = session.run(_CANDIDATES, schemas, self.name)
        trusted = next((schema for schema, _, is_trusted in candidates if is_trusted), None)
        if trusted is None and candidates:
            table, owner = TableName(self.name, candidates[0][0]), candidates[0][1]
            raise UsageError(
                f"{table} belongs to {owner}, who is neither this user, the database's owner nor a superuser: triggers "
                "there would run as this user.",
                f"Give it to a role that is trusted: ALTER TABLE {table.quoted} OWNER TO ...",
            )
        return TableName(self.name, trusted) if trusted is not None else None

    def ensure(self, session: Session) -> None:
        """Create the table if it is missing, and the columns that an earlier version did not create.

        Raises:
            UsageError: The table's owner is not trusted, or there is no schema to create it in.
        """
        table = self.find(session)
        if table is None:
            self._create(session)
        elif self._lacks_columns(session, table):
            self._add_columns(session, table)

    def _create(self, session: Session) -> None:
        table = self.place(session)
        with session.transaction():
            # IF NOT EXISTS alone fails if two sessions create the table at the same time.
            locks.wait_in_transaction(session, locks.own_table(self.name))
            session.run(self.creation(table))
        tell_subscribers(session, table)

    def place(self, session: Session) -> TableName:
        """Return the full name that the table gets.

        Raises:
            UsageError: There is no schema to create it in.
        """
        table = name_for_new_table(session, TableName(self.name, self.schema))
        if table.schema is None:
            raise UsageError(
                f"There is no schema for the table {self.name}.", "Create one, and have search_path name it."
            )
        if not schema_exists(session, table.schema):
            raise UsageError(f"There is no schema for the table {table}.", "Create the schema first.")
        return table

    def creation(self, table: TableName) -> str:
        """Return the statement that creates the table under its full name."""
        columns = ", ".join([self.columns, *(f"{name} {type_}" for name, type_ in self.added.items())])
        return f"CREATE TABLE IF NOT EXISTS {table.quoted} ({columns})"

    def _lacks_columns(self, session: Session, table: TableName) -> bool:
        if not self.added:
            return False
        present = session.run(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0", table.quoted
        )
        return not all([name] in present for name in self.added)

    def _add_columns(self, session: Session, table: TableName) -> None:
        columns = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {type_}" for name, type_ in self.added.items())
        with session.transaction():
            locks.wait_in_transaction(session, locks.own_table(self.name))
            session.run(f"ALTER TABLE {table.quoted} {columns}")


# A superuser is taken for a member of every role, so membership says nothing about one.
_CANDIDATES = """
SELECT n.nspname, o.rolname, o.rolsuper OR o.oid = d.datdba OR o.oid = me.oid
    OR NOT me.rolsuper AND pg_has_role(o.oid, 'USAGE')
FROM unnest(%s::text[]) WITH ORDINALITY AS path (schema, place) JOIN pg_namespace n ON n.nspname = path.schema
JOIN pg_class c ON c.relnamespace = n.oid JOIN pg_roles o ON o.oid = c.relowner
JOIN pg_roles me ON me.rolname = current_user JOIN pg_database d ON d.datname = current_database()
WHERE c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'f') ORDER BY place
"""
