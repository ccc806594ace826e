"""Which types hold the values of which others, as the same text: what crosses from one server to another is text."""

from __future__ import annotations

from itertools import zip_longest

from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn

_WIDER = {"int2": ("int4", "int8", "numeric"), "int4": ("int8", "numeric"), "int8": ("numeric",)}
"""A type -> those that hold all of its values, if they have no modifier."""

TEXTS = ("text", "varchar")
"""Types that take any text as it is, if they have no length."""

OF_ZONE = ("timestamptz", "timetz")
"""Types whose text depends on the session's time zone."""

_OF_LENGTH = ("varchar", "bpchar", "varbit")
"""Types whose modifier is a length, and that hold shorter values."""

_OF_FRACTION = ("time", "timetz", "timestamp", "timestamptz")
"""Types whose modifier is a number of digits; none is 6."""


def shown(column: SourceColumn) -> str:
    """Return a column's type with its fields, in which two of one name may differ."""
    fields = ", ".join(f"{field.name} {field.type_name}" for field in column.scalar.fields)
    return f"{column.type_name} ({fields})" if fields else column.type_name


def fits(source: SourceColumn, target: SourceColumn) -> bool:
    """Return whether each value of the source is a value of the target, with the same text."""
    into_text = target.scalar.base in TEXTS and target.scalar.modifier < 0 and not target.dimensions
    if into_text and source.scalar.base != "bpchar":
        return True
    alike = bool(source.dimensions) == bool(target.dimensions) and _fits(source.scalar, target.scalar)
    fields = zip_longest(source.scalar.fields, target.scalar.fields)  # a value's text has no names
    return alike and all(one and other and one.name == other.name and fits(one, other) for one, other in fields)


def _fits(source: BaseType, target: BaseType) -> bool:
    if source.base != target.base:
        return target.modifier < 0 and target.base in _WIDER.get(source.base, ())
    if target.modifier < 0 or target.modifier == source.modifier:
        return True
    if source.base in _OF_LENGTH:
        return 0 <= source.modifier <= target.modifier
    if source.base in _OF_FRACTION:
        return (source.modifier if source.modifier >= 0 else 6) <= target.modifier
    bounds, wanted = source.precision_and_scale, target.precision_and_scale
    if bounds is None or wanted is None:
        return False
    return bounds[0] - bounds[1] <= wanted[0] - wanted[1] and bounds[1] <= wanted[1]
