"""The columns of a query's result and their types, with domains, arrays and composite types resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.kinds import kind_of
from jobs.dbaccess.session import ResultColumn, Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class BaseType:
    """A type, with domains resolved.

    Attributes:
        base: pg_type's own name: "varchar", "numeric".
        modifier: The type modifier (length, precision and scale), or -1.
        kind: One of `kinds`, or empty.
        fields: Of a composite type.
    """

    base: str
    modifier: int = -1
    kind: str = ""
    fields: tuple[SourceColumn, ...] = ()

    @property
    def precision_and_scale(self) -> tuple[int, int] | None:
        """Return precision and scale of a numeric; None if they are not declared.

        https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/numeric.c (numeric_typmod_scale)
        """
        if self.base != "numeric" or self.modifier < 0:
            return None
        packed = self.modifier - 4
        return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 0x400) - 0x400


@dataclass(frozen=True)
class SourceColumn:
    """A column of a result, or a field of a composite type.

    Attributes:
        type_name: The type as SQL writes it.
        scalar: The column's type, or that of the elements of an array.
        dimensions: The dimensions of an array; 0 for other types.
    """

    name: str
    type_name: str
    scalar: BaseType
    dimensions: int = 0


# A type, then what it is derived from: the base type of a domain, the element type of an array. An array has the
# modifier of its elements. A domain over an array, as the element of another array, is not resolved: each is a value of
# its own.
_TYPES = f"""
WITH RECURSIVE wanted AS (
    SELECT * FROM unnest(%s::int[], %s::oid[], %s::int[]) AS wanted (place, type, modifier)
), layer AS (
    SELECT place, 0 AS depth, type, modifier, 0 AS dimensions FROM wanted
    UNION ALL
    SELECT place, depth + 1,
        CASE WHEN typtype = 'd' THEN typbasetype ELSE typelem END,
        CASE WHEN typtype = 'd' AND typtypmod >= 0 THEN typtypmod ELSE modifier END,
        dimensions + CASE WHEN typtype = 'd' THEN 0 ELSE 1 END
    FROM layer JOIN pg_type ON pg_type.oid = type
    WHERE typtype = 'd' OR typcategory = 'A' AND typelem <> 0 AND dimensions = 0
)
SELECT DISTINCT ON (place) format_type(wanted.type, wanted.modifier), typname, layer.modifier, dimensions,
    {kind_of("pg_type")}, typrelid
FROM layer JOIN wanted USING (place) JOIN pg_type ON pg_type.oid = layer.type
ORDER BY place, depth DESC
"""

_FIELDS = """
SELECT attname, atttypid, atttypmod, greatest(attndims, typndims)::int
FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = %s::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


def describe(session: Session, query: str, dimensions: Mapping[str, int] | None = None) -> tuple[SourceColumn, ...]:
    """Return the columns of a query's result.

    Args:
        session: The session that describes the query.
        query: A SELECT without LIMIT.
        dimensions: The dimensions of arrays, by column, if the catalog declares more than one.
    """
    described = session.describe(query)
    return _resolved(session, described, [(dimensions or {}).get(column.name, 0) for column in described])


def describe_table(session: Session, table: TableName) -> dict[str, SourceColumn]:
    """Return the columns of a table by their names."""
    dimensions = tables.array_dimensions(session, table)
    return {column.name: column for column in describe(session, f"SELECT * FROM {table.quoted}", dimensions)}


def _resolved(
    session: Session, described: Sequence[ResultColumn], dimensions: Sequence[int]
) -> tuple[SourceColumn, ...]:
    """Return columns with their types, given the dimensions that are declared."""
    types = session.run(
        _TYPES,
        list(range(len(described))),
        [column.type_oid for column in described],
        [column.modifier for column in described],
    )
    return tuple(
        SourceColumn(
            column.name,
            type_name,
            BaseType(base, modifier, kind, _fields(session, composite)),
            max(depth, declared),
        )
        for column, declared, (type_name, base, modifier, depth, kind, composite) in zip(described, dimensions, types)
    )


def _fields(session: Session, composite: int) -> tuple[SourceColumn, ...]:
    """Return the fields of a composite type, by its oid in pg_class; none for 0."""
    found = session.run(_FIELDS, composite) if composite else []
    fields = [ResultColumn(name, type_oid, modifier) for name, type_oid, modifier, _ in found]
    return _resolved(session, fields, [declared for *_, declared in found]) if fields else ()
