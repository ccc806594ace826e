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
                Range(f"ONLY {leaf.name.quoted}", _between("ctid", _tid(start), _tid(end)))
            )
        before += blocks
    return tuple(tuple(part) for part in made if part)


def by_key(relation: str, key: str, bounds: Sequence[str]) -> tuple[Part, ...]:
    """Cut a relation where a key reaches each of these bounds.

    Args:
        relation: as FROM takes it.
        key: a column.
        bounds: SQL literals, ascending.
    """
    name = quote_name(key)
    starts, ends = [None, *bounds], [*bounds, None]
    conditions = [_between(name, start, end) for start, end in zip(starts, ends)]
    conditions[0] = f"({conditions[0]} OR {name} IS NULL)" if bounds else ""
    return tuple((Range(relation, condition),) for condition in conditions)


def _tid(block: int | None) -> str | None:
    return f"'({block},0)'::tid" if block else None


def _between(what: str, start: str | None, end: str | None) -> str:
    conditions = [f"{what} >= {start}"] * (start is not None) + [f"{what} < {end}"] * (end is not None)
    return " AND ".join(conditions)


def key_bounds(session: Session, relation: str, key: str, condition: str, parts: int) -> list[str]:
    """The values of a key that cut the rows into parts of about the same number, as SQL literals.

    It reads the key of every row, and sorts it.
    """
    name = quote_name(key)
    fractions = [part / parts for part in range(1, parts)]
    where = f"WHERE {condition}" if condition else ""
    [[bounds, kind]] = session.run(
        f"SELECT percentile_disc(%s::float8[]) WITHIN GROUP (ORDER BY {name})::text[], "
        f"(SELECT format_type(pg_typeof(max({name}))::oid, NULL)) FROM {relation} {where}",
        fractions,
    )
    distinct = list(dict.fromkeys(bound for bound in bounds or () if bound is not None))
    return [
        literal
        for [literal] in session.run("SELECT format('%L::%s', b, %s::text) FROM unnest(%s::text[]) b", kind, distinct)
    ]


# A table, and all that inherit from it: each keeps its own rows.
_LEAVES = """
WITH RECURSIVE tree (oid) AS (
    SELECT %s::regclass::oid UNION SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid
)
SELECT nspname, relname, relkind::text,
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
