"""Encodes a row as one line of COPY's text format, by Spark's own expressions: the JVM encodes, Python only transfers.

A line ends in the only newline that it contains, because every newline in a value is escaped.
https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2

Each type has a text form that PostgreSQL can parse (`text_of`). Special characters of COPY in it are escaped
(`_field`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Union

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.composed import literals
from jobs.copyformat.composed.fitting import columns_named, is_vector
from jobs.copyformat.match_columns import Match
from jobs.copyformat.text.copy_text import dump, replace_by_spark, replace_by_sql, sql_literal
from jobs.copyformat.text.json_text import json
from jobs.copyformat.text.timestamp_text import (
    julian_day,
    julian_instant,
    postgres_date,
    postgres_instant,
    postgres_timestamp,
)
from jobs.copyformat.text.utf8 import undecoded
from jobs.copyformat.whole_stage import ENCODING, is_wide, outside_whole_stage
from jobs.copyformat.write_types import TEXT_CATEGORY, by_bytes, innermost, is_string
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.copy_text import ARRAY_ESCAPES, COPY_ESCAPES, NULL

LINE = "line"
"""The name of the only column of an encoded DataFrame."""

Piece = Union[str, Column]
"""A piece of a line: SQL text, or an expression.

An expression's functions are called in the JVM one by one: a string took 180 calls, and a thousand strings 8.5 seconds.
SQL text takes a few calls, for any number of columns.
"""


@dataclass(frozen=True)
class TargetType:
    """The type that parses the text: pg_type's name and category; its kind, fields and delimiter, as of a column."""

    base: str
    category: str
    kind: str = ""
    fields: tuple[tables.Column, ...] = ()
    delimiter: str = ","

    @property
    def is_text(self) -> bool:
        """Return whether it is a kind of text, which stores what it receives."""
        return self.category == TEXT_CATEGORY


def encode(
    df: DataFrame,
    matches: Sequence[Match],
    row_hash: Callable[[Sequence[Column]], Column] | None = None,
    origin: Callable[[Column], Sequence[Column]] | None = None,
    *,
    unparsed: str | None = None,
) -> DataFrame:
    """Return a DataFrame of one string column: each row as its finished COPY line, in the column order of `matches`.

    Args:
        df: The rows.
        matches: Which columns, and the table's columns for them.
        row_hash: A hash of a row's values, 8 bytes that precede its line; the column is then binary.
        origin: Text that precedes the line and follows the hash, made from the last column of the rows.
        unparsed: A column with the text of records that could not be read, else NULL. Such a record becomes a line of
            one field too many, the first of which is its text: the server refuses it, whatever the columns are.
    """
    names = df.columns if origin is None else df.columns[:-1]
    places = {name: f"c{place}" for place, name in enumerate(names)}
    df = df.toDF(
        *[f"c{place}" for place in range(len(df.columns))]
    )  # by position: to Spark, `a` and `A` are the same name
    pieces: list[Piece] = []
    for match in matches:
        pieces += [_field(df, places[match.source], match), sql_literal("\t")]
    spark_types = [part for match in matches for part in _parts(match.spark_type, match.target)]
    end: Piece = sql_literal("\n")
    if is_wide(spark_types if row_hash is None else spark_types * 2, ENCODING):
        end = outside_whole_stage(f.lit("\n"), t.StringType(), witness=_joined(pieces[:1]))
    row = _joined([*pieces[:-1], end])
    if unparsed is not None:
        text = df[places[unparsed]]
        refused = f.concat(_replaced(text, COPY_ESCAPES), f.lit("\t" * len(matches)), f.lit("\n"))
        row = f.when(text.isNotNull(), refused).otherwise(row)
    line = _joined([*(origin(df[df.columns[-1]]) if origin is not None else ()), row])
    if row_hash is not None:
        line = f.concat(row_hash([df[places[match.source]] for match in matches]), line.cast("binary"))
    return df.select(line.alias(LINE))


def _parts(spark_type: t.DataType, column: tables.Column) -> Iterator[t.DataType]:
    """Yield the types of which a value is composed: those of the fields for a composite type, else its own."""
    if isinstance(spark_type, t.StructType) and column.kind:
        for field in spark_type:
            yield from _parts(field.dataType, columns_named(field.name, column.fields)[0])
    else:
        yield spark_type


def backquoted(name: str) -> str:
    """Return a column's name in backquotes, so that dots and backquotes stand for themselves."""
    return "`" + name.replace("`", "``") + "`"


def _field(df: DataFrame, name: str, match: Match) -> Piece:
    """Return the text of a column's value between two tabs."""
    spark_type, column = by_bytes(match.spark_type), match.target
    is_by_bytes = spark_type == match.spark_type
    sql = _field_as_sql(name, spark_type) if is_by_bytes else None
    if sql is not None:
        return sql
    value = df[name] if is_by_bytes else df[name].cast(spark_type)
    if isinstance(spark_type, t.BinaryType) and not column.kind:  # only its prefix needs an escape
        text = f.concat(f.lit("\\\\x"), f.hex(value))
    else:
        text = _text_for(value, spark_type, column)
    if _may_need_escapes(spark_type):  # `_replaced` repeats a text, and that of a composite takes long to compute
        text = dump(text, replace_by_spark, COPY_ESCAPES) if column.kind else _replaced(text, COPY_ESCAPES)
    return f.coalesce(text, f.lit(NULL))


def _text_for(value: Column, spark_type: t.DataType, column: tables.Column) -> Column:
    """Return a value as text that PostgreSQL can parse for a column, or for a field of a composite type."""
    if isinstance(spark_type, t.ArrayType) and column.element:
        element = column.element, column.element_category
        target = TargetType(*element, column.kind, column.fields, column.delimiter)
        return _array(value, spark_type, target)
    target = TargetType(column.base_type, column.category, column.kind, column.fields)
    return text_of(value, spark_type, target)


def _field_as_sql(name: str, spark_type: t.DataType) -> str | None:
    """Return the same as SQL text, or None if it is not one of the commonest types."""
    if isinstance(spark_type, t.StringType):
        holds_one = " OR ".join(f"contains({name}, {sql_literal(character)})" for character, _ in COPY_ESCAPES)
        escaped = dump(name, replace_by_sql, COPY_ESCAPES)
        text = f"CASE WHEN {holds_one} THEN {escaped} ELSE {name} END"
    elif isinstance(spark_type, (t.BooleanType, t.IntegralType, t.FractionalType)):
        text = f"CAST({name} AS STRING)"
    else:
        return None
    return f"coalesce({text}, {sql_literal(NULL)})"


def _joined(pieces: Iterable[Piece]) -> Column:
    """Return the concatenation of the pieces. Spark's optimizer flattens what is nested."""
    columns = list(_expressions(pieces))
    return columns[0] if len(columns) == 1 else f.concat(*columns)


def _expressions(pieces: Iterable[Piece]) -> Iterator[Column]:
    """Return an expression for each run of SQL texts, and the expressions between them."""
    for is_sql, run in groupby(pieces, lambda piece: isinstance(piece, str)):
        if is_sql:
            yield f.expr(f"concat({', '.join(map(str, run))})")
        else:
            yield from (piece for piece in run if not isinstance(piece, str))


def _may_need_escapes(spark_type: t.DataType) -> bool:
    """Return whether a type's text may contain a backslash, tab or newline. That of numbers and dates never does."""
    if isinstance(spark_type, t.ArrayType):
        return isinstance(innermost(spark_type), t.BinaryType) or _may_need_escapes(innermost(spark_type))
    return is_string(spark_type) or _is_json(spark_type)


def _is_json(spark_type: t.DataType) -> bool:
    return isinstance(spark_type, (t.StructType, t.MapType, t.ArrayType)) or spark_type.typeName() == "variant"


def text_of(value: Column, spark_type: t.DataType, target: TargetType) -> Column:
    """Return a value as text that PostgreSQL can parse; NULL for NULL."""
    if is_string(spark_type):
        return value
    if target.kind or _is_json(spark_type):
        return _composed(value, spark_type, target)
    if isinstance(spark_type, t.BinaryType):
        return f.concat(f.lit("\\x"), f.hex(value))
    if isinstance(spark_type, (t.DayTimeIntervalType, t.YearMonthIntervalType)):
        return _interval(value, spark_type)
    if isinstance(spark_type, (t.DateType, t.TimestampType, t.TimestampNTZType)):
        return _timestamp(value, spark_type, target)
    return value.cast(t.StringType())


def _composed(value: Column, spark_type: t.DataType, target: TargetType) -> Column:
    """Return a value for a type of some kind (see `kinds`), or else as JSON."""
    if not target.kind:
        return undecoded(json(value, spark_type), value)

    def texts(item: Column, item_type: t.DataType, column: tables.Column) -> Column:
        return _text_for(item, item_type, column)

    if isinstance(spark_type, t.MapType):
        return literals.hstore(value, spark_type, texts)
    if isinstance(spark_type, t.StructType):
        return literals.record(value, spark_type, target.fields, texts)
    if isinstance(spark_type, t.BinaryType):
        return f.hex(value)
    return literals.vector(value) if isinstance(spark_type, t.ArrayType) else value.cast(t.StringType())


def _replaced(value: Column, escapes: Sequence[tuple[str, str]]) -> Column:
    """Escape each character. Most values contain none, and `contains` takes a third of the time of `replace`."""
    escaped = dump(value, replace_by_spark, escapes)
    holds_one = reduce(or_, (value.contains(character) for character, _ in escapes))
    return f.when(holds_one, escaped).otherwise(value)


def _array(value: Column, spark_type: t.ArrayType, target: TargetType) -> Column:
    """Return `{1,NULL,3}`, `{{"a"},{"b"}}`.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-INPUT
    """
    inner = spark_type.elementType

    def element(item: Column) -> Column:
        if isinstance(inner, t.ArrayType) and not is_vector(inner, target.kind):
            return _array(item, inner, target)
        text = text_of(item, inner, target)
        if target.kind:
            return literals.quoted(text)
        quotes = _may_need_escapes(inner) or isinstance(inner, t.BinaryType)
        return f.concat(f.lit('"'), _replaced(text, ARRAY_ESCAPES), f.lit('"')) if quotes else text

    items = f.transform(value, lambda item: f.coalesce(element(item), f.lit("NULL")))
    return f.concat(f.lit("{"), f.array_join(items, target.delimiter), f.lit("}"))


def _interval(value: Column, spark_type: t.DataType) -> Column:
    """Return `1 year 2 month`: each part with its sign, as PostgreSQL parses any interval."""
    units = ["DAY", "HOUR", "MINUTE", "SECOND"]
    whole: t.DataType = t.DayTimeIntervalType()  # an interval of hours, for example, has no field for days
    if isinstance(spark_type, t.YearMonthIntervalType):
        units, whole = ["YEAR", "MONTH"], t.YearMonthIntervalType()
    value = value.cast(whole)
    parts = [f.concat(f.extract(f.lit(unit), value).cast(t.StringType()), f.lit(f" {unit}")) for unit in units]
    spaced = [piece for part in parts for piece in (part, f.lit(" "))]
    return f.concat(*spaced[:-1])


def _timestamp(value: Column, spark_type: t.DataType, target: TargetType) -> Column:
    """Return a date or a timestamp, cast to the type of the column as Spark casts it."""
    if isinstance(spark_type, t.DateType) and target.base == "date":
        return julian_day(value)
    if target.base == "timestamptz":
        return julian_instant(value.cast(t.TimestampType()))
    if target.base == "timestamp":
        return postgres_timestamp(value.cast(t.TimestampNTZType()))
    if isinstance(spark_type, t.DateType):  # from here on, into text
        return postgres_date(value)
    return postgres_instant(value) if isinstance(spark_type, t.TimestampType) else postgres_timestamp(value)
