r"""Writes vectors, hstore and composite values as the server parses them, by Spark's expressions.

Texts are in double quotes, in which the server takes a backslash before a quote or a backslash: in hstore, in a
composite, and in an array alike. So each level of nesting escapes the text of the level below, and COPY escapes the
whole: the text `a"b` in a composite in an array is `{"(\"a\\\"b\")"}`.

https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX
https://www.postgresql.org/docs/current/hstore.html#HSTORE-EXTERNAL-REP
https://github.com/pgvector/pgvector#vector-type
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.composed.fitting import columns_named
from jobs.copyformat.text.copy_text import dump, replace_by_spark
from jobs.copyformat.write_types import TEXT_CATEGORY
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.copy_text import ARRAY_ESCAPES

Texts = Callable[[Column, t.DataType, tables.Column], Column]
"""Returns a value as the text of a column's or field's type; NULL for NULL."""

_TEXT = tables.Column("", "text", "text", TEXT_CATEGORY)


def quoted(text: Column) -> Column:
    """Return a text in double quotes; NULL for NULL."""
    return f.concat(f.lit('"'), dump(text, replace_by_spark, ARRAY_ESCAPES), f.lit('"'))


def vector(numbers: Column) -> Column:
    """Return `[1.0,-2.5E-7]`. The server refuses a NULL, NaN or infinity among the numbers, and a vector of none."""
    texts = numbers.cast(t.ArrayType(t.StringType()))
    return f.concat(f.lit("["), f.array_join(texts, ",", "NULL"), f.lit("]"))


def hstore(pairs: Column, spark_type: t.MapType, texts: Texts) -> Column:
    """Return `"a"=>"1","b"=>NULL`; an empty text for an empty map."""

    def pair(entry: Column) -> Column:
        key, value = texts(entry["key"], spark_type.keyType, _TEXT), texts(entry["value"], spark_type.valueType, _TEXT)
        return f.concat(quoted(key), f.lit("=>"), f.coalesce(quoted(value), f.lit("NULL")))

    return f.array_join(f.transform(f.map_entries(pairs), pair), ",")


def record(struct: Column, spark_type: t.StructType, fields: Sequence[tables.Column], texts: Texts) -> Column:
    """Return `("1","a, b",)`: the fields of the composite type in their order. A field that the struct lacks is NULL.

    The struct's fields are taken by position: names that differ only in case are the same name to Spark.
    """
    places = [f"field{place}" for place in range(len(spark_type))]
    by_place = struct.cast(t.StructType([t.StructField(p, field.dataType) for p, field in zip(places, spark_type)]))
    given = {
        columns_named(field.name, fields)[0].name: (place, field.dataType)
        for place, field in zip(places, spark_type.fields)
    }

    def member(column: tables.Column) -> Column:
        if column.name not in given:
            return f.lit("")
        place, kind = given[column.name]
        return f.coalesce(quoted(texts(by_place.getField(place), kind, column)), f.lit(""))

    members = f.concat_ws(",", *(member(column) for column in fields))
    return f.when(struct.isNotNull(), f.concat(f.lit("("), members, f.lit(")")))
