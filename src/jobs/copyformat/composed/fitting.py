"""Which values of Spark go into a column of which type, at any depth: structs by their fields, arrays by elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pyspark.sql import types as t

from jobs.copyformat.write_types import NO_TEXT, column_type, fits, innermost, is_string
from jobs.dbaccess.catalog.kinds import COMPOSITE, HSTORE, SPATIAL, VECTORS
from jobs.dbaccess.catalog.tables import Column


def columns_named(name: str, columns: Sequence[Column]) -> list[Column]:
    """Return the columns of a table, or the fields of a composite type, that a name may refer to."""
    exact = [column for column in columns if column.name == name]
    return exact or [column for column in columns if column.name.casefold() == name.casefold()]


def misfit(spark_type: t.DataType, column: Column) -> str | None:
    """Return why values of a Spark type cannot go into a column or field, as a predicate; None if they can."""
    if not column.kind or is_string(innermost(spark_type)) or isinstance(spark_type, t.NullType):
        problems = [] if fits(spark_type, column) else [""]
    else:
        problems = _problems(spark_type, column)
    if not problems:
        return None
    details = f": {', '.join(problems)}" if problems[0] else ""
    return f"is a {spark_type.simpleString()}, which does not fit {column.type_name}{details}"


def is_vector(spark_type: t.DataType, kind: str) -> bool:
    """Return whether an array is one value: a vector of numbers."""
    return kind in VECTORS and isinstance(spark_type, t.ArrayType) and isinstance(spark_type.elementType, t.NumericType)


def _problems(spark_type: t.DataType, column: Column) -> list[str]:
    """Return what is wrong with a type for a column of a kind: empty texts if there is nothing to add."""
    value = spark_type
    if column.element:
        while isinstance(value, t.ArrayType) and not is_vector(value, column.kind):
            value = value.elementType
        if value is spark_type:
            return [""]
    if column.kind == COMPOSITE and isinstance(value, t.StructType):
        return list(_of_fields(value, column))
    if column.kind == HSTORE and isinstance(value, t.MapType):
        return [] if _has_text(value.keyType) and _has_text(value.valueType) else ["keys and values have to be text"]
    if column.kind in VECTORS and isinstance(value, t.UserDefinedType):
        return ["vector_to_array of pyspark.ml.functions makes an array of it"]
    is_spatial = column.kind in SPATIAL and isinstance(value, t.BinaryType)
    return [] if is_spatial or is_vector(value, column.kind) else [""]


def _has_text(spark_type: t.DataType) -> bool:
    """Return whether a value has a text form, as for a column of text."""
    is_nested = isinstance(spark_type, (*NO_TEXT, t.ArrayType))
    return isinstance(spark_type, t.NullType) or (column_type(spark_type) is not None and not is_nested)


def _of_fields(struct: t.StructType, column: Column) -> Iterator[str]:
    taken = Counter(found.name for name in struct.names for found in columns_named(name, column.fields)[:1])
    for field in struct:
        found = columns_named(field.name, column.fields)
        if not found:
            yield f"its field {field.name!r} is none of {', '.join(one.name for one in column.fields)}"
        elif len(found) > 1:
            yield f"its field {field.name!r} could be any of {', '.join(one.name for one in found)}"
        elif taken[found[0].name] > 1:
            yield f"its field {field.name!r} and another one both match {found[0].name!r}"
        else:
            problem = misfit(field.dataType, found[0])
            if problem is not None:
                yield f"its field {field.name!r} {problem}"
