"""Converts structs and maps to JSON text by Spark's to_json, after converting what to_json would write differently.

to_json writes dates and timestamps according to the session's settings, and the keys of a map as Spark stores them: a
date as a number of days. So these are converted to text first.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.text.timestamp_text import date_text, iso, iso_instant
from jobs.copyformat.write_types import is_string

_OPTIONS = {"ignoreNullFields": "false", "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"}


def json(value: Column, spark_type: t.DataType) -> Column:
    """Return a struct, map, array or variant as JSON; NULL for NULL."""
    return f.to_json(_prepared(value, spark_type), _OPTIONS)


def _prepared(value: Column, spark_type: t.DataType) -> Column:
    """Return the value with dates, timestamps and keys of maps as text, at any depth."""
    if not _needs_it(spark_type):
        return value
    if isinstance(spark_type, t.ArrayType):
        return f.transform(value, lambda item: _prepared(item, spark_type.elementType))
    if isinstance(spark_type, t.MapType):
        values = f.transform_values(value, lambda _, item: _prepared(item, spark_type.valueType))
        return f.transform_keys(values, lambda key, _: _key(key, spark_type.keyType))
    if isinstance(spark_type, t.StructType):
        return _struct(value, spark_type)
    return date_text(value) if isinstance(spark_type, t.DateType) else iso_instant(value)


def _needs_it(spark_type: t.DataType) -> bool:
    if isinstance(spark_type, t.ArrayType):
        return _needs_it(spark_type.elementType)
    if isinstance(spark_type, t.MapType):
        return not is_string(spark_type.keyType) or _needs_it(spark_type.valueType)
    if isinstance(spark_type, t.StructType):
        return any(_needs_it(field.dataType) for field in spark_type)
    return isinstance(spark_type, (t.DateType, t.TimestampType))


def _struct(value: Column, spark_type: t.StructType) -> Column:
    """Return fields by position: names that differ only in case are the same name to Spark."""
    places = [f"field{place}" for place in range(len(spark_type))]
    by_place = value.cast(t.StructType([t.StructField(p, field.dataType) for p, field in zip(places, spark_type)]))
    fields = [
        _prepared(by_place.getField(p), field.dataType).alias(field.name) for p, field in zip(places, spark_type.fields)
    ]
    return f.when(value.isNotNull(), f.struct(*fields))


def _key(key: Column, spark_type: t.DataType) -> Column:
    if isinstance(spark_type, t.DateType):
        return date_text(key)
    if isinstance(spark_type, t.TimestampType):
        return iso_instant(key)
    if isinstance(spark_type, t.TimestampNTZType):
        return iso(key)
    return key.cast(t.StringType())
