"""How a relation is split into parts that are read in parallel: by physical blocks, or by ranges of a key.

A part is a list of SELECTs. All parts are read in one snapshot, in which a row has one place, so each row is in one
part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name


@dataclass(frozen=True)
class Leaf:
    """A table with rows of its own: a plain table, a partition, a materialized view.

    Attributes:
        blocks: Its size; 0 for a relation without blocks, such as a foreign table.
    """

    name: TableName
    blocks: int


@dataclass(frozen=True)
class Range:
    """A piece of what is read.

    Attributes:
        relation: The relation as written in FROM.
        condition: The condition on its rows; empty for all.
    """

    relation: str
    condition: str = ""


Part = tuple[Range, ...]


def by_blocks(leaves: Sequence[Leaf], parts: int) -> tuple[Part, ...]:
    """Split leaves into parts with the same number of blocks. A part may contain pieces of several leaves.

    PostgreSQL 14 and newer reads a range of ctid by reading only its blocks. The last range of a leaf has no upper end.
    """
    pieces: list[list[Range]] = [[] for _ in range(parts)]
    total = sum(max(leaf.blocks, 1) for leaf in leaves)
    before = 0
    for leaf in leaves:
        blocks = max(leaf.blocks, 1)
        # The boundaries of parts within this leaf, as its own block numbers.
        borders = {0} | {
            border - before for part in range(parts) if 0 < (border := total * part // parts) - before < blocks
        }
        starts = sorted(borders)
        for start, end in zip(starts, [*starts[1:], None]):
            part = ((before + start) * parts + parts - 1) // total
            pieces[min(part, parts - 1)].append(
                Range(f"ONLY {leaf.name.quoted}", _between("ctid", _tid(start), _tid(end), "pg_catalog"))
            )
        before += blocks
    return tuple(tuple(part) for part in pieces if part)


def by_key(relation: str, key: str, bounds: Sequence[str], schema: str = "pg_catalog") -> tuple[Part, ...]:
    """Split a relation at these bounds of a key.

    Args:
        relation: The relation as written in FROM.
        key: A column.
        bounds: SQL literals, ascending.
        schema: The schema of the operators that compare the key.
    """
    name = quote_name(key)
    starts, ends = [None, *bounds], [*bounds, None]
    conditions = [_between(name, start, end, schema) for start, end in zip(starts, ends)]
    conditions[0] = f"({conditions[0]} OR {name} IS NULL)" if bounds else ""
    return tuple((Range(relation, condition),) for condition in conditions)


def _tid(block: int | None) -> str | None:
    return f"'({block},0)'::pg_catalog.tid" if block else None


def _between(what: str, start: str | None, end: str | None, schema: str) -> str:
    bounds = ((">=", start), ("<", end))
    conditions = [
        f"{what} OPERATOR({quote_name(schema)}.{sign}) {bound}" for sign, bound in bounds if bound is not None
    ]
    return " AND ".join(conditions)


def key_bounds(session: Session, relation: str, key: str, condition: str, parts: int) -> list[str]:
    """Return the key values that split the rows into parts of about the same size, as SQL literals, ascending.

    This reads and sorts the key of every row. No values are bound, because a condition may contain what pg8000 treats
    as a placeholder (`%`). The type is written by name with modifier -1, because `'abc'::character` is `a`.

    Raises:
        DatabaseError: The key's type has no order.
    """
    name = quote_name(key)
    fractions = ",".join(str(part / parts) for part in range(1, parts))
    where = f"WHERE {condition}" if condition else ""
    rows = session.query(
        "SELECT pg_catalog.format('%L::%s', bound, pg_catalog.format_type(pg_catalog.pg_typeof(bound), -1)) "
        "FROM (SELECT DISTINCT pg_catalog.unnest("
        f"pg_catalog.percentile_disc('{{{fractions}}}'::pg_catalog.float8[]) WITHIN GROUP (ORDER BY {name})) AS bound "
        f"FROM {relation} {where}) AS bounds WHERE bound IS NOT NULL ORDER BY bounds.bound"
    )
    return [literal for [literal] in rows]


def comparing_schema(session: Session, relation: str, key: str) -> str:
    """Return the schema of the operators that compare a key: that of an extension's type, else pg_catalog."""
    [column] = session.describe(f"SELECT {quote_name(key)} FROM {relation}")
    rows = session.run(
        "WITH RECURSIVE base AS (SELECT oid, typnamespace, typtype, typbasetype FROM pg_type WHERE oid = %s::oid "
        "UNION ALL SELECT t.oid, t.typnamespace, t.typtype, t.typbasetype "
        "FROM base JOIN pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd') "
        "SELECT n.nspname FROM base JOIN pg_operator o ON o.oprleft = base.oid AND o.oprright = base.oid "
        "AND o.oprname = '>=' AND o.oprnamespace = base.typnamespace JOIN pg_namespace n ON n.oid = o.oprnamespace",
        column.type_oid,
    )
    return str(rows[0][0]) if rows else "pg_catalog"


# A table and all of its descendants. Each stores its own rows. A partition that DETACH ... CONCURRENTLY has begun to
# detach is none any more: queries of the table do not read it. It may stay so until somebody finalizes it.
_TREE = """
WITH RECURSIVE tree (oid) AS (
    SELECT %s::regclass::oid
    UNION SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid WHERE NOT inhdetachpending
)
"""

_LEAVES = f"""
{_TREE} SELECT nspname, relname, relkind::text,
    CASE WHEN relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END,
    has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
FROM tree JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'm', 'p', 'f') AND NOT pg_is_other_temp_schema(relnamespace) ORDER BY nspname, relname
"""
"""Who reads a table does not see its temporary child tables of other sessions, and may not read one."""


def leaves_of(session: Session, table: TableName) -> tuple[Leaf, ...]:
    """Return the tables that store a table's rows; empty if it must be read as a whole.

    This is the case for a view; if the user may not read one of the leaves by itself; and if policies of row-level
    security on the whole hide rows that reading a leaf would show.
    """
    rows = session.run(_LEAVES, table.quoted)
    if not all(readable and not policies for *_, readable, policies in rows):
        return ()
    return tuple(Leaf(TableName(name, schema), blocks) for schema, name, kind, blocks, *_ in rows if kind != "p")


def has_foreign_leaf(session: Session, table: TableName) -> bool:
    """Return whether some rows of a table are stored on another server."""
    query = f"{_TREE} SELECT 1 FROM tree JOIN pg_class USING (oid) WHERE relkind = 'f'"
    return bool(session.run(query, table.quoted))
