"""How a relation is cut into parts that are read side by side: by physical blocks, or by ranges of a key.

A part is a list of SELECTs. All parts are read in one snapshot, in which a row has one place: each is in one part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name


@dataclass(frozen=True)
class Leaf:
    """A table with rows of its own: a plain one, a partition, a materialised view.

    Attributes:
        blocks: its size; 0 for what has no blocks to tell, a foreign table.
    """

    name: TableName
    blocks: int


@dataclass(frozen=True)
class Range:
    """A piece of what is read.

    Attributes:
        relation: as FROM takes it.
        condition: which of its rows; empty for all.
    """

    relation: str
    condition: str = ""


Part = tuple[Range, ...]


def by_blocks(leaves: Sequence[Leaf], parts: int) -> tuple[Part, ...]:
    """Cut leaves into parts of the same number of blocks; a part may hold pieces of several leaves.

    PostgreSQL 14 and newer read a range of ctid by reading its blocks alone. A leaf's last range has no end.
    """
    made: list[list[Range]] = [[] for _ in range(parts)]
    total = sum(max(leaf.blocks, 1) for leaf in leaves)
    before = 0
    for leaf in leaves:
        blocks = max(leaf.blocks, 1)
        # The borders of parts that lie within this leaf, as blocks of its own.
        borders = {0} | {
            border - before for part in range(parts) if 0 < (border := total * part // parts) - before < blocks
        }
        starts = sorted(borders)
        for start, end in zip(starts, [*starts[1:], None]):
            part = ((before + start) * parts + parts - 1) // total
            made[min(part, parts - 1)].append(
                Range(f"ONLY {leaf.name.quoted}", _between("ctid", _tid(start), _tid(end), "pg_catalog"))
            )
        before += blocks
    return tuple(tuple(part) for part in made if part)


def by_key(relation: str, key: str, bounds: Sequence[str], schema: str = "pg_catalog") -> tuple[Part, ...]:
    """Cut a relation where a key reaches each of these bounds.

    Args:
        relation: as FROM takes it.
        key: a column.
        bounds: SQL literals, ascending.
        schema: of the operators that compare the key.
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
    """The values of a key that cut the rows into parts of about the same number, as SQL literals, ascending.

    It reads the key of every row, and sorts it. Nothing is bound: a condition may hold what pg8000 takes for a place
    of a value (`%`). A type goes by its name with modifier -1, for `'abc'::character` is `a`.

    Raises:
        DatabaseError: the key's type has no order.
    """
    name = quote_name(key)
    fractions = ",".join(str(part / parts) for part in range(1, parts))
    where = f"WHERE {condition}" if condition else ""
    found = session.query(
        "SELECT pg_catalog.format('%L::%s', bound, pg_catalog.format_type(pg_catalog.pg_typeof(bound), -1)) "
        "FROM (SELECT DISTINCT pg_catalog.unnest("
        f"pg_catalog.percentile_disc('{{{fractions}}}'::pg_catalog.float8[]) WITHIN GROUP (ORDER BY {name})) AS bound "
        f"FROM {relation} {where}) AS bounds WHERE bound IS NOT NULL ORDER BY bounds.bound"
    )
    return [literal for [literal] in found]


def comparing_schema(session: Session, relation: str, key: str) -> str:
    """The schema of the operators that compare a key: a type's own that is not the server's, else pg_catalog."""
    [column] = session.describe(f"SELECT {quote_name(key)} FROM {relation}")
    found = session.run(
        "WITH RECURSIVE base AS (SELECT oid, typnamespace, typtype, typbasetype FROM pg_type WHERE oid = %s::oid "
        "UNION ALL SELECT t.oid, t.typnamespace, t.typtype, t.typbasetype "
        "FROM base JOIN pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd') "
        "SELECT n.nspname FROM base JOIN pg_operator o ON o.oprleft = base.oid AND o.oprright = base.oid "
        "AND o.oprname = '>=' AND o.oprnamespace = base.typnamespace JOIN pg_namespace n ON n.oid = o.oprnamespace",
        column.type_oid,
    )
    return str(found[0][0]) if found else "pg_catalog"


# A table, and all that inherit from it: each keeps its own rows.
_TREE = """
WITH RECURSIVE tree (oid) AS (
    SELECT %s::regclass::oid UNION SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid
)
"""

_LEAVES = f"""
{_TREE} SELECT nspname, relname, relkind::text,
    CASE WHEN relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END,
    has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid)
FROM tree JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'm', 'p', 'f') ORDER BY nspname, relname
"""


def leaves_of(session: Session, table: TableName) -> tuple[Leaf, ...]:
    """The tables that hold a table's rows; none where it must be read as a whole.

    That is so of a view; of a table of whose parts this user may not read one by itself; and where policies of row
    security hide rows of the whole, which a part would not.
    """
    found = session.run(_LEAVES, table.quoted)
    if not all(readable and not policies for *_, readable, policies in found):
        return ()
    return tuple(Leaf(TableName(name, schema), blocks) for schema, name, kind, blocks, *_ in found if kind != "p")


def has_foreign_leaf(session: Session, table: TableName) -> bool:
    """Whether some of a table's rows are another server's."""
    query = f"{_TREE} SELECT 1 FROM tree JOIN pg_class USING (oid) WHERE relkind = 'f'"
    return bool(session.run(query, table.quoted))
