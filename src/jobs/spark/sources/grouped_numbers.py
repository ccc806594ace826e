"""Numbers as text that Spark reads into decimals as others: it leaves out separators of thousands, wherever they stand.

To Spark, `1,5` is 15, unless a locale is given in which the comma is the decimal point. In CSV, these are values of
columns of decimals; in JSON, strings in such fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted
from jobs.spark.sources.listing import finds_ascii, lines_of

_DECIMAL = re.compile(r'(type|elementType|valueType)":"decimal\(\d+,\d+\)"', re.IGNORECASE)
"""How the JSON of a schema names the type."""


def with_text(schema: t.StructType) -> t.StructType | None:
    """Return a schema with strings in place of decimals, at any depth, or None if it has none."""
    text, number = _DECIMAL.subn(r'\1":"string"', schema.json())
    return t.StructType.fromJson(json.loads(text)) if number else None


def separators(spark: SparkSession, locale: str) -> tuple[str, str]:
    """Return the separator of thousands and the decimal point of a locale, by its tag."""
    java: Any = spark.sparkContext._jvm  # noqa: SLF001 - only Java knows its locales
    symbols = java.java.text.DecimalFormatSymbols.getInstance(java.java.util.Locale.forLanguageTag(locale))
    return str(symbols.getGroupingSeparator()), str(symbols.getDecimalSeparator())


def may_be_in(
    spark: SparkSession, paths: Sequence[str], options: Mapping[str, str], marks: tuple[str, str], quotes: str
) -> bool:
    """Return whether a separator of thousands may stand in a number. This reads the files, as text, up to the first.

    Args:
        spark: The session.
        paths: The files.
        options: The options of the reader, as given.
        marks: The separator, and the decimal point.
        quotes: Characters one of which stands before such a number; empty if it may be without.
    """
    if not finds_ascii(options):
        return True
    group, point = map(_of, marks)
    before = f"[{''.join(map(_of, quotes))}][-+\\d{group}{point}]*" if quotes else ""
    lines = lines_of(spark, paths, {**options, "recursiveFileLookup": "true"})
    between = f"\\d{group}\\d"
    is_there = lines["value"].rlike(between)  # sooner told than what stands before it, which each quote may begin
    return not lines.where(is_there & lines["value"].rlike(before + between)).limit(1).isEmpty()


def misread(df: DataFrame, schema: t.StructType, marks: tuple[str, str], *, is_given: bool) -> tuple[str, str] | None:
    """Return a file, and a column, with a number that Spark reads as another one, or None.

    `1,234.5` and `1,234,567` are meant as Spark reads them. `1,500` may be one and a half, unless a locale is given.

    Args:
        df: The rows, with strings in place of decimals.
        schema: The columns with decimals.
        marks: The separator of thousands, and the decimal point.
        is_given: Whether the user has named a locale.
    """
    group, point = map(_of, marks)
    fewest = 1 if is_given else 2
    groups = f"(?:{group}\\d{{3}})"
    meant = f"^[-+]?\\d{{1,3}}(?:{groups}+{point}\\d*|{groups}{{{fewest},}})$"
    number = f"^[-+]?[\\d{point}]*{group}[\\d{group}{point}]*(?:[eE][-+]?\\d+)?$"
    found = {
        field.name: wrong
        for field in schema
        if (wrong := _holds(df[backquoted(field.name)], field.dataType, number, meant)) is not None
    }
    named = f.coalesce(*[f.when(wrong, f.lit(name)) for name, wrong in found.items()])
    row = df.where(reduce(or_, found.values())).select(f.input_file_name(), named).first()
    return None if row is None else (str(row[0]), str(row[1]))


def _holds(value: Column, kind: t.DataType, number: str, meant: str) -> Column | None:
    """Return whether a value holds such a number, at any depth; None if it has no decimals."""
    if isinstance(kind, t.DecimalType):
        return f.coalesce(value.rlike(number) & ~value.rlike(meant), f.lit(False))
    if isinstance(kind, t.ArrayType):
        return _any(value, kind.elementType, number, meant)
    if isinstance(kind, t.MapType):
        return _any(f.map_values(value), kind.valueType, number, meant)
    if isinstance(kind, t.StructType):
        inner = [_holds(value[field.name], field.dataType, number, meant) for field in kind]
        told = [one for one in inner if one is not None]
        return reduce(or_, told) if told else None
    return None


def _any(values: Column, kind: t.DataType, number: str, meant: str) -> Column | None:
    """Return whether one of the elements does."""
    if _holds(f.lit(None), kind, number, meant) is None:
        return None
    return f.coalesce(f.exists(values, lambda one: _holds(one, kind, number, meant)), f.lit(False))  # type: ignore[arg-type,return-value]


def _of(character: str) -> str:
    """Return a regular expression for a character."""
    return f"\\x{{{ord(character):x}}}"
