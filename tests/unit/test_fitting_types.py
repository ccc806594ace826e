"""Which types take which others, when values cross as text."""

from __future__ import annotations

import pytest

from jobs.dbaccess.catalog.fitting_types import fits
from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn


def numeric(precision: int, scale: int) -> int:
    """The modifier of a numeric."""
    return (precision << 16 | scale) + 4


def column(base: str, modifier: int = -1, name: str = "a", dimensions: int = 0) -> SourceColumn:
    return SourceColumn(name, base, BaseType(base, modifier), dimensions)


@pytest.mark.parametrize(
    ("source", "target", "is_taken"),
    [
        (column("int4"), column("int4"), True),
        (column("int4"), column("int8"), True),
        (column("int8"), column("int4"), False),
        (column("int8"), column("numeric"), True),
        (column("int8"), column("numeric", numeric(10, 0)), False),
        (column("numeric", numeric(8, 2)), column("numeric", numeric(10, 2)), True),
        (column("numeric", numeric(8, 2)), column("numeric", numeric(8, 3)), False),
        (column("numeric"), column("numeric", numeric(8, 2)), False),
        (column("varchar", 14), column("varchar", 24), True),
        (column("varchar", 24), column("varchar", 14), False),
        (column("varchar"), column("varchar", 14), False),
        (column("varchar", 14), column("text"), True),
        (column("uuid"), column("text"), True),
        (column("bpchar", 14), column("text"), False),
        (column("text"), column("uuid"), False),
        (column("bit", 8), column("bit", 9), False),
        (column("timestamp", 3), column("timestamp"), True),
        (column("timestamp"), column("timestamp", 3), False),
        (column("timestamp"), column("timestamptz"), False),
        (column("float4"), column("float8"), False),
        (column("int4", dimensions=1), column("int4", dimensions=2), True),
        (column("int4", dimensions=1), column("int4"), False),
        (column("int4", dimensions=1), column("text"), True),
        (column("text"), column("text", dimensions=1), False),
    ],
)
def test_a_column_takes_another_whose_values_it_holds_with_the_same_text(
    source: SourceColumn, target: SourceColumn, is_taken: bool
) -> None:
    assert fits(source, target) is is_taken


def composite(*fields: SourceColumn, name: str = "p") -> SourceColumn:
    return SourceColumn(name, "pair", BaseType("pair", fields=fields))


def test_a_composite_type_takes_one_with_the_same_fields_in_the_same_order() -> None:
    """Its text has no names: of (a, b) and (b, a), each would take the values of the other."""
    a, b = column("int4", name="a"), column("int4", name="b")
    assert fits(composite(a, b), composite(a, column("int8", name="b")))
    assert not any(fits(composite(a, b), other) for other in (composite(b, a), composite(a), composite(a, b, a)))
    assert not fits(composite(a, b), column("pair"))
