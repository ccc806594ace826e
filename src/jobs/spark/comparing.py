"""Compares two DataFrames by key and transfers little data: first sums of row hashes by bucket, then differing rows.

Both sides use the same expressions, so that equal values have equal hashes, whatever their types were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted
from jobs.copyformat.text.json_text import json
from jobs.copyformat.write_types import innermost
from jobs.dbaccess.catalog import tables
from jobs.spark import key_buckets
from jobs.spark.key_buckets import BUCKETS, Key

MISSING, EXTRA, DIFFERENT, REPEATED = "missing", "extra", "different", "repeated"
"""A key is missing in the table, or in the source; a column differs; or one side has the key more than once."""

DIFFERENCE, COLUMNS = "difference", "columns"
"""The columns of the result in addition to those of the key."""


@dataclass(frozen=True)
class Compared:
    """A column on both sides.

    Attributes:
        name: Its name in the table, and in the result.
        source: Its name in the source.
        spark_type: The type that an extract gives it. The source is cast to that type.
        base_type: Its type in the table.
        element, fields: If it is an array, the type of its elements; and its fields, or theirs, if it is composite.
    """

    name: str
    source: str
    spark_type: t.DataType
    base_type: str
    element: str = ""
    fields: tuple[tables.Column, ...] = ()

    @property
    def key(self) -> Key:
        """Return the column as a key column."""
        return Key(self.name, self.spark_type, self.base_type)


def aligned(df: DataFrame, columns: Sequence[Compared], *, is_source: bool) -> DataFrame:
    """Return one side with the compared columns, under the table's names, each in the form that both sides share."""
    values = [_canonical(df, column, is_source=is_source).alias(column.name) for column in columns]
    cast = [column for column in columns if is_source and _is_cast(df, column)]
    return df.select(*values, _unfit(df, cast).alias(_UNFIT))


_UNFIT = "_unfit"
"""The columns whose value in the source is none of the type in the table; NULL for none.

Cast, such a value may be equal to that of the table: `abc` and 1.5 are NULL and 1 as integers.
"""


def _unfit(df: DataFrame, columns: Sequence[Compared]) -> Column:
    names = [f.when(_is_unfit(df, column), f.lit(column.name)) for column in columns]
    found = f.array_compact(f.array(*names)) if names else f.lit(None)
    return f.when(f.size(found.cast("array<string>")) > 0, found).cast("array<string>")


def _is_unfit(df: DataFrame, column: Compared) -> Column:
    value, cast = df[backquoted(column.source)], _cast(column)
    has_fraction = isinstance(df.schema[column.source].dataType, (t.FractionalType, t.DecimalType))
    if has_fraction and isinstance(column.spark_type, t.IntegralType):
        return ~cast.cast(df.schema[column.source].dataType).eqNullSafe(value)
    return value.isNotNull() & cast.isNull()


def _is_cast(df: DataFrame, column: Compared) -> bool:
    return df.schema[column.source].dataType != column.spark_type and not isinstance(column.spark_type, t.MapType)


def _cast(column: Compared) -> Column:
    return f.expr(f"try_cast({backquoted(column.source)} AS {column.spark_type.simpleString()})")


def _canonical(df: DataFrame, column: Compared, *, is_source: bool) -> Column:
    value = df[backquoted(column.source if is_source else column.name)]
    if is_source and df.schema[column.source].dataType != column.spark_type:
        value = _cast(column)
    if isinstance(column.spark_type, t.MapType):  # of hstore, whose keys have another order
        return f.array_sort(f.map_entries(value))
    return _in_one_form(value, column.spark_type, column)


def _in_one_form(value: Column, kind: t.DataType, column: Compared | tables.Column) -> Column:
    """Return a value, or one within an array or a composite type, without what may differ in its text.

    That are blanks at the end of a char(n), and zeros at the end of a numeric without a precision, which is text.
    """
    if not _has_forms(kind, column):
        return value
    if isinstance(kind, t.ArrayType):
        item, of_item = kind.elementType, _element(column, kind.elementType)
        return f.transform(value, lambda one: _in_one_form(one, item, of_item))
    if isinstance(kind, t.StructType):
        places = [f"field{place}" for place in range(len(kind))]  # names may differ in case alone
        by_place = value.cast(t.StructType([t.StructField(p, field.dataType) for p, field in zip(places, kind)]))
        fields = [
            _in_one_form(by_place.getField(place), field.dataType, of_field).alias(field.name)
            for place, field, of_field in zip(places, kind, column.fields)
        ]
        return f.when(value.isNotNull(), f.struct(*fields))
    if column.base_type == _PADDED:
        return f.rtrim(value)
    fraction = f.regexp_replace(value, r"(\.\d*?)0+$", "$1")
    return f.regexp_replace(fraction, r"\.$", "")


_PADDED, _NUMBER = "bpchar", "numeric"
"""Types whose text may differ where values are equal."""


def _has_forms(kind: t.DataType, column: Compared | tables.Column) -> bool:
    if isinstance(kind, t.ArrayType):
        return _has_forms(kind.elementType, _element(column, kind.elementType))
    if isinstance(kind, t.StructType):
        return any(_has_forms(field.dataType, of_field) for field, of_field in zip(kind, column.fields))
    return isinstance(kind, t.StringType) and column.base_type in (_PADDED, _NUMBER)


def _element(column: Compared | tables.Column, kind: t.DataType) -> Compared | tables.Column:
    """Return the element of an array: an array of several dimensions is one type of the server."""
    return column if isinstance(kind, t.ArrayType) else replace(column, base_type=column.element, element="")


def row_hash(columns: Sequence[Compared], *others: Column) -> Column:
    """Return a row's hash. Spark's hash skips NULLs, so the positions of the NULLs are hashed, too."""
    parts: list[Column] = [*others]
    for column in columns:
        value = f.col(backquoted(column.name))
        is_nested = isinstance(column.spark_type, (t.ArrayType, t.MapType, t.StructType))
        parts += [json(value, column.spark_type) if is_nested else value, value.isNull()]
    return f.xxhash64(*parts)


def bucket_sums(df: DataFrame, keys: Sequence[Compared], columns: Sequence[Compared]) -> DataFrame:
    """Return for each bucket of keys the number of rows, and two sums of their hashes that cannot overflow."""
    hashed = df.select(bucket(keys).alias("bucket"), row_hash(columns, f.col(_UNFIT)).alias("hash"))
    return hashed.groupBy("bucket").agg(
        f.count("*").alias("rows"),
        f.bit_xor("hash").alias("xor"),
        f.sum(f.col("hash").bitwiseAND(0xFFFFFFFF)).alias("low"),
        f.sum(f.shiftrightunsigned("hash", 32)).alias("high"),
    )


def bucket(keys: Sequence[Compared]) -> Column:
    """Return the bucket of a row's key. If possible, the server can compute it, too."""
    shared = key_buckets.bucket([column.key for column in keys])
    return f.pmod(row_hash(keys), f.lit(BUCKETS)) if shared is None else shared


@dataclass(frozen=True)
class Sums:
    """The result of `bucket_sums` on the driver: the sums of each bucket."""

    by_bucket: dict[int, tuple[int, ...]]

    @classmethod
    def of(cls, df: DataFrame, keys: Sequence[Compared], columns: Sequence[Compared]) -> Sums:
        """Compute the sums."""
        rows = bucket_sums(df, keys, columns).collect()
        return cls({row["bucket"]: (row["rows"], row["xor"], row["low"], row["high"]) for row in rows})

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return sum(sums[0] for sums in self.by_bucket.values())

    def unlike(self, other: Sums) -> list[int]:
        """Return the buckets whose sums differ."""
        buckets = self.by_bucket.keys() | other.by_bucket.keys()
        return sorted(number for number in buckets if self.by_bucket.get(number) != other.by_bucket.get(number))


def differences(
    source: DataFrame,
    table: DataFrame,
    *,
    keys: Sequence[Compared],
    columns: Sequence[Compared],
    buckets: Sequence[int],
) -> DataFrame:
    """Return the keys of some buckets that differ: the key, the kind of difference, and the columns."""
    sides = (_by_key(source, keys, columns, buckets), _by_key(table, keys, columns, buckets))
    left, right = sides[0].alias("source"), sides[1].alias("table")
    same_key = [_of("source", key.name).eqNullSafe(_of("table", key.name)) for key in keys]
    joined = left.join(right, same_key, "full_outer")
    counts = f.coalesce(_of("source", "_rows"), f.lit(0)), f.coalesce(_of("table", "_rows"), f.lit(0))
    what = (
        f.when(counts[1] == 0, MISSING)
        .when(counts[0] == 0, EXTRA)
        .when((counts[0] > 1) | (counts[1] > 1), REPEATED)
        .otherwise(DIFFERENT)
    )
    unequal = [
        f.when(
            ~_of("source", column.name).eqNullSafe(_of("table", column.name))
            | f.array_contains(_of("source", _UNFIT), column.name),
            f.lit(column.name),
        )
        for column in columns
        if column not in keys
    ]
    names = f.when(what == DIFFERENT, f.array_compact(f.array(*unequal))) if unequal else f.lit(None)
    differ = ~_of("source", "_hashes").eqNullSafe(_of("table", "_hashes"))
    return joined.where(differ).select(
        *(f.coalesce(_of("source", key.name), _of("table", key.name)).alias(key.name) for key in keys),
        what.alias(DIFFERENCE),
        names.cast("array<string>").alias(COLUMNS),
    )


def _of(side: str, name: str) -> Column:
    return f.col(f"{side}.{backquoted(name)}")


def _by_key(df: DataFrame, keys: Sequence[Compared], columns: Sequence[Compared], buckets: Sequence[int]) -> DataFrame:
    """Return one row for each key: how many rows have it, their hashes in order, and the values of the first one."""
    some = df.where(bucket(keys).isin(list(buckets))).withColumn("_hash", row_hash(columns, f.col(_UNFIT)))
    others = [column for column in columns if column not in keys]
    return some.groupBy([f.col(backquoted(key.name)) for key in keys]).agg(
        f.count("*").alias("_rows"),
        f.sort_array(f.collect_list("_hash")).alias("_hashes"),
        f.first(_UNFIT).alias(_UNFIT),
        *(f.first(f.col(backquoted(column.name))).alias(column.name) for column in others),
    )


def can_be_compared(source: t.DataType, table: t.DataType) -> bool:
    """Return whether a source value, cast to the type that an extract gives the table's column, is the value loaded."""
    nested = (t.ArrayType, t.MapType, t.StructType)
    if isinstance(table, t.MapType):  # of hstore
        return isinstance(source, t.MapType) and {type(source.keyType), type(source.valueType)} <= _ALIKE_AS_TEXT
    if _holds_map(table):  # which Spark cannot compare
        return False
    if source.simpleString() == table.simpleString():  # whatever may be NULL in them
        return True
    if isinstance(source, nested) or isinstance(table, nested):
        alike = isinstance(source, t.ArrayType) and isinstance(table, t.ArrayType)
        return alike and can_be_compared(innermost(source), innermost(table))
    if isinstance(source, (t.DayTimeIntervalType, t.YearMonthIntervalType)):
        return False  # an extract reads an interval as the server's text, and Spark writes another one
    return isinstance(source, t.BinaryType) == isinstance(table, t.BinaryType)


_ALIKE_AS_TEXT = {t.StringType, t.BooleanType, t.ByteType, t.ShortType, t.IntegerType, t.LongType}
"""Types whose values Spark casts to the text that a load sends."""


def _holds_map(spark_type: t.DataType) -> bool:
    if isinstance(spark_type, t.ArrayType):
        return _holds_map(spark_type.elementType)
    if isinstance(spark_type, t.StructType):
        return any(_holds_map(field.dataType) for field in spark_type)
    return isinstance(spark_type, t.MapType)
