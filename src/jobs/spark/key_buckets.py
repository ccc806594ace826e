"""Buckets and samples of keys that Spark and the server compute alike, so that the server can select their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted
from jobs.copyformat.write_types import is_string
from jobs.dbaccess.sql import quote_name

BUCKETS = 4093
"""The number of groups of keys. One changed value among n rows costs reading n / BUCKETS rows per side.

It is a prime, so that keys that are multiples of some number fall into all buckets, too.
"""

SAMPLE_STEPS = 1_000_000
"""The number of steps into which keys are divided for a sample."""

_MOST_KEYS = 4
"""The number of key columns that determine a bucket."""

_WEIGHT = 31
"""The weight of a key column relative to the one before, so that (1, 2) and (2, 1) fall into different buckets."""

_INTEGERS = frozenset({"int2", "int4", "int8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})


@dataclass(frozen=True)
class Key:
    """A key column.

    Attributes:
        name: Its name, on both sides.
        spark_type: Its type in Spark.
        base_type: Its type in the table.
    """

    name: str
    spark_type: t.DataType
    base_type: str

    @property
    def is_numbered(self) -> bool:
        """Whether Spark and the server can compute the same number from a value."""
        is_text = self.base_type in _TEXTS and is_string(self.spark_type)
        return is_text or self.base_type in _INTEGERS or self.base_type == "date"

    @property
    def can_be_sampled(self) -> bool:
        """Whether Spark and the server write a value as the same text."""
        plain = isinstance(self.spark_type, (t.ShortType, t.IntegerType, t.LongType, t.DateType))
        return plain or is_string(self.spark_type)


def bucket(keys: Sequence[Key]) -> Column | None:
    """Return Spark's expression for the bucket of a row's key; None if the server cannot compute the same."""
    numbers = [_modulo(_number(key)) * _WEIGHT**place for place, key in enumerate(_numbered(keys))]
    return f.pmod(reduce(add, numbers), f.lit(BUCKETS)) if numbers else None


def bucket_condition(keys: Sequence[Key], buckets: Sequence[int]) -> str:
    """Return SQL's condition for the rows of some buckets; empty, for all rows, if `bucket` returns None."""
    if bucket(keys) is None:
        return ""
    terms = [
        f"{_modulo_sql(_number_sql(key))} OPERATOR(pg_catalog.*) {_WEIGHT**place}"
        for place, key in enumerate(_numbered(keys))
    ]
    total = " OPERATOR(pg_catalog.+) ".join(f"({term})" for term in terms)
    listed = ",".join(map(str, buckets))
    return f"({total}) OPERATOR(pg_catalog.%) {BUCKETS} OPERATOR(pg_catalog.=) ANY ('{{{listed}}}'::pg_catalog.int8[])"


def is_sampled(key: Key, steps: int) -> Column:
    """Return Spark's condition that a row's key falls into the first `steps` of SAMPLE_STEPS."""
    return _digest(f.col(backquoted(key.name)).cast("string")) % SAMPLE_STEPS < steps


def sample_condition(name: str, steps: int) -> str:
    """Return SQL's condition for the same."""
    return f"{_digest_sql(quote_name(name))} OPERATOR(pg_catalog.%) {SAMPLE_STEPS} OPERATOR(pg_catalog.<) {steps}"


def _numbered(keys: Sequence[Key]) -> list[Key]:
    return [key for key in keys if key.is_numbered][:_MOST_KEYS]


def _number(key: Key) -> Column:
    value = f.col(backquoted(key.name))
    if key.base_type == "date":
        return f.unix_date(value).cast("bigint")
    return value.cast("bigint") if key.base_type in _INTEGERS else _digest(value)


def _number_sql(key: Key) -> str:
    value = quote_name(key.name)
    if key.base_type == "date":
        return f"({value} OPERATOR(pg_catalog.-) '1970-01-01'::pg_catalog.date)::pg_catalog.int8"
    return f"{value}::pg_catalog.int8" if key.base_type in _INTEGERS else _digest_sql(value)


def _modulo(number: Column) -> Column:
    return f.coalesce(f.pmod(number, f.lit(BUCKETS)), f.lit(0))


def _modulo_sql(number: str) -> str:
    """Return pmod. SQL's remainder of a negative number is negative."""
    remainder = f"({number} OPERATOR(pg_catalog.%) {BUCKETS})"
    return f"coalesce(({remainder} OPERATOR(pg_catalog.+) {BUCKETS}) OPERATOR(pg_catalog.%) {BUCKETS}, 0)"


def _digest(text: Column) -> Column:
    """Return the first 32 bits of a text's MD5."""
    return f.conv(f.substring(f.md5(text), 1, 8), 16, 10).cast("bigint")


def _digest_sql(value: str) -> str:
    octets = f"pg_catalog.convert_to({value}::pg_catalog.text, 'UTF8')"
    digits = f"pg_catalog.substr(pg_catalog.md5({octets}), 1, 8)"
    return f"('x' OPERATOR(pg_catalog.||) {digits})::pg_catalog.bit(32)::pg_catalog.int8"
