"""Converts the text of a value to its Spark type, by Spark's own expressions: the inverse of `encode_spark`.

A text that Spark cannot represent in the requested type is an error, never NULL. The expressions are SQL, because in
Spark 3.5 try_cast exists only there.
"""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.read_types import NOT_FINITE, WRONG_SHAPE, ExtractColumn
from jobs.copyformat.text.copy_text import load, replace_by_spark, sql_literal
from jobs.dbaccess.copy_text import NULL

_REFUSED = "pgjobs refused column "
_REFUSAL = re.compile(_REFUSED + r"(\d+)")


def refusal(name: str) -> tuple[str, str]:
    """Return message and hint of the error about a column with a value that Spark cannot represent."""
    what = "infinity, NaN, too many digits, or an array of other dimensions than declared"
    return (
        f'The column "{name}" holds a value that its type in Spark cannot: {what}.',
        f"Read it as text: --text-columns {name}.",
    )


def refused(message: str) -> int | None:
    """Return the position of the column in an error of Spark; None for other errors."""
    match = _REFUSAL.search(message)
    return int(match[1]) if match else None


def cell(raw: Column, column: ExtractColumn) -> Column:
    """Return the text between two tabs without escapes, or NULL."""
    if not column.dimensions and not isinstance(column.element, _MAY_HAVE_ESCAPES):
        # Numbers, dates and similar types contain nothing to escape. (Spark 3.5's nullif fails for a computed column.)
        return f.when(raw != NULL, raw)
    return f.when(raw == NULL, None).when(raw.contains("\\"), load(raw, replace_by_spark)).otherwise(raw)


_MAY_HAVE_ESCAPES = (t.StringType, t.BinaryType, t.MapType, t.StructType)


def value(text: str, column: ExtractColumn, place: int) -> str:
    """Return the SQL expression that converts a value.

    Args:
        text: The name of the column that contains the value's text, or NULL.
        column: How the column is read.
        place: The position of the column, for the error message.
    """
    if column.dimensions == 0 and isinstance(column.element, t.DateType):
        return f"if({text} = '{NOT_FINITE}', {_raise(place)}, date_from_unix_date(CAST({text} AS INT)))"
    if column.dimensions == 0:
        return _one(text, column, place, zone="Z")
    texts = "array<" * column.dimensions + "string" + ">" * column.dimensions
    values = _elements(_parsed(text, texts), column, place, column.dimensions)
    return f"CASE WHEN startswith({text}, '{WRONG_SHAPE}') THEN {_raise(place)} ELSE {values} END"


def _parsed(text: str, spark_type: str) -> str:
    return f"from_json({text}, '{spark_type}', map('mode', 'FAILFAST'))"


def _elements(array: str, column: ExtractColumn, place: int, depth: int) -> str:
    if isinstance(column.element, t.StringType):
        return array
    item = f"item{depth}"
    inner = _one(item, column, place) if depth == 1 else _elements(item, column, place, depth - 1)
    return f"transform({array}, {item} -> {inner})"


def _one(text: str, column: ExtractColumn, place: int, zone: str = "") -> str:
    """Return a value that is no array, or an element of one."""
    if isinstance(column.element, t.StructType):
        return _record(text, column, place)
    return _scalar(text, column.element, place, zone)


def _record(text: str, column: ExtractColumn, place: int) -> str:
    """Return a struct, from the texts of its fields. They are parsed once, which needs a variable: that of a lambda."""
    fields = [
        f"{sql_literal(field.name)}, {value(f'texts[{number}]', field, place)}"
        for number, field in enumerate(column.fields)
    ]
    struct = f"if(texts IS NULL, NULL, named_struct({', '.join(fields)}))"
    return f"transform(array({_parsed(text, 'array<string>')}), texts -> {struct})[0]"


def _scalar(text: str, spark_type: t.DataType, place: int, zone: str = "") -> str:
    if isinstance(spark_type, t.StringType):
        return text
    if isinstance(spark_type, t.BinaryType):
        return f"unhex(substring({text}, 3))"  # skips \x
    if isinstance(spark_type, t.ArrayType):  # of the vectors of pgvector
        return f"CAST(split(substring({text}, 2, length({text}) - 2), ',') AS array<float>)"
    if isinstance(spark_type, t.MapType):
        return _parsed(text, "map<string,string>")
    if isinstance(spark_type, t.DecimalType):
        value = f"try_cast({text} AS {spark_type.simpleString()})"
    elif type(spark_type) in _TIMESTAMPS:
        value = _timestamp(text, _TIMESTAMPS[type(spark_type)], zone if isinstance(spark_type, t.TimestampType) else "")
    else:
        return f"CAST({text} AS {spark_type.simpleString()})"  # cannot fail: the server's type is the same
    return f"coalesce({value}, if({text} IS NULL, NULL, {_raise(place)}))"


# By name: spark.sql.timestampType determines what `timestamp` means.
_TIMESTAMPS: dict[type[t.DataType], str] = {
    t.DateType: "date",
    t.TimestampType: "timestamp_ltz",
    t.TimestampNTZType: "timestamp_ntz",
}


def _timestamp(text: str, sql_type: str, zone: str) -> str:
    """Return a date or a timestamp. Casts accept years before 1 as 0, -1, and so on, and ignore timeParserPolicy.

    The expression is short, because Spark's generated method grows with it (see `whole_stage`).
    """
    year = f"lpad(string(int(substring({text}, 1, 4)) - 1), 4, '0')"
    counted = f"if(endswith({text}, ' BC'), concat('-', {year}, replace(substring({text}, 5), ' BC')), {text})"
    return f"try_cast(concat({counted}, '{zone}') AS {sql_type})" if zone else f"try_cast({counted} AS {sql_type})"


def _raise(place: int) -> str:
    return f"raise_error('{_REFUSED}{place}.')"
