"""What the server's catalogue says of a table."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        type_name: as SQL writes it, with its length or precision: "character varying(10)".
        base_type: pg_type's own name below any domain: "varchar", "int4", "_int4" for an array.
        category: pg_type's typcategory ("S" for every kind of text, also an extension's).
        required: a row must bring it: NOT NULL and filled by no default, identity or expression.
        generated: the server alone gives its value (an expression, or GENERATED ALWAYS AS IDENTITY).
    """

    name: str
    type_name: str
    base_type: str
    category: str
    required: bool = False
    generated: bool = False


@dataclass(frozen=True)
class Table:
    """A table or view that exists, under its full name.

    Attributes:
        kind: pg_class's relkind: "r" table, "p" partitioned table, "v" view, "f" foreign table.
    """

    name: TableName
    kind: str
    columns: tuple[Column, ...]


_COLUMNS = """
WITH RECURSIVE base AS (
    SELECT a.attnum, a.atttypid AS oid, t.typtype, t.typbasetype, t.typname, t.typcategory
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s::oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT base.attnum, t.oid, t.typtype, t.typbasetype, t.typname, t.typcategory
    FROM base JOIN pg_type t ON t.oid = base.typbasetype
    WHERE base.typtype = 'd'
)
SELECT a.attname, format_type(a.atttypid, a.atttypmod), base.typname, base.typcategory,
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> '' OR a.attidentity = 'a'
FROM pg_attribute a JOIN base USING (attnum)
WHERE a.attrelid = %s::oid AND base.typtype <> 'd'
ORDER BY a.attnum
"""


def find_table(session: Session, name: TableName) -> Table | None:
    """The table of that name (by search_path where it has no schema), or None."""
    found = session.run(
        "SELECT c.oid, n.nspname, c.relname, c.relkind::text "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)",
        name.quoted,
    )
    if not found:
        return None
    oid, schema, relname, kind = found[0]
    columns = session.run(_COLUMNS, oid, oid)
    return Table(TableName(relname, schema), kind, tuple(Column(*column) for column in columns))


def name_for_new_table(session: Session, name: TableName) -> TableName:
    """The full name that a new table gets: in the named schema, else in the first of search_path that exists."""
    if name.schema is not None:
        return name
    [[schema]] = session.run("SELECT current_schema()")
    return TableName(name.name, schema)


def schema_exists(session: Session, schema: str) -> bool:
    """Whether there is a schema of that name."""
    return bool(session.run("SELECT 1 FROM pg_namespace WHERE nspname = %s", schema))
