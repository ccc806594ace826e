"""What a query returns: its columns with their types, seen through domains and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.dbaccess.session import Session


@dataclass(frozen=True)
class Kind:
    """A type below any domain.

    Attributes:
        base: pg_type's own name: "varchar", "numeric".
        modifier: the type's modifier (length, precision and scale), or -1.
    """

    base: str
    modifier: int = -1

    @property
    def precision_and_scale(self) -> tuple[int, int] | None:
        """Of numeric; None where it is not bounded.

        https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/numeric.c (numeric_typmod_scale)
        """
        if self.base != "numeric" or self.modifier < 0:
            return None
        packed = self.modifier - 4
        return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 0x400) - 0x400


@dataclass(frozen=True)
class SourceColumn:
    """A column of a result.

    Attributes:
        type_name: as SQL writes it.
        kind: its type, or that of an array's elements.
        dimensions: of an array; 0 for what is none.
    """

    name: str
    type_name: str
    kind: Kind
    dimensions: int = 0


# A type, then what it is made of: a domain's base, an array's element. The modifier of an array is its elements'.
# Arrays within an array stand in it as a domain, each a value of its own.
_TYPES = """
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
SELECT DISTINCT ON (place) format_type(wanted.type, wanted.modifier), typname, layer.modifier, dimensions
FROM layer JOIN wanted USING (place) JOIN pg_type ON pg_type.oid = layer.type
ORDER BY place, depth DESC
"""


def describe(session: Session, query: str, dimensions: Mapping[str, int] | None = None) -> tuple[SourceColumn, ...]:
    """The columns of a query's result.

    Args:
        session: where to ask.
        query: a SELECT without LIMIT.
        dimensions: of arrays, by column, where the catalogue knows more than one.
    """
    found = session.describe(query)
    types = session.run(
        _TYPES,
        list(range(len(found))),
        [column.type_oid for column in found],
        [column.modifier for column in found],
    )
    return tuple(
        SourceColumn(column.name, type_name, Kind(base, modifier), max(depth, (dimensions or {}).get(column.name, 0)))
        for column, (type_name, base, modifier, depth) in zip(found, types)
    )
