"""Spark and the server put each key into the same bucket, so that the server can select a bucket's rows."""

from __future__ import annotations

from collections import defaultdict

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as t

from jobs.dbaccess.session import Session
from jobs.spark.key_buckets import Key, bucket, bucket_condition, is_sampled, sample_condition

ROWS = """
(1, 0, 0, DATE '1970-01-01', 'a', 'x'), (2, -1, -9223372036854775808, DATE '0044-03-15', 'ä b', 'x '),
(3, 32767, 9223372036854775807, DATE '9999-12-31', '', ''), (4, NULL, NULL, NULL, NULL, NULL),
(5, 4093, 4094, DATE '2026-11-20', '漢字', 'y'), (6, -4093, -4094, DATE '1969-12-31', 'A', 'long')
"""
COLUMNS = {
    "small": ("smallint", "int2"),
    "big": ("bigint", "int8"),
    "day": ("date", "date"),
    "name": ("text", "text"),
    "Code ": ("char(4)", "bpchar"),
}
STEPS = 500_000


@pytest.fixture
def keys(spark: SparkSession, session: Session) -> dict[str, Key]:
    """The key columns of a table `t` at the server and a view `t` in Spark, which hold the same rows."""
    defined = ", ".join(f'"{name}" {kind}' for name, (kind, _) in COLUMNS.items())
    session.run(f"CREATE TABLE t (id int, {defined})")
    session.run(f"INSERT INTO t VALUES {ROWS}")
    names = ", ".join(["id", *(f"`{name}`" for name in COLUMNS)])
    casts = "CAST(small AS smallint) small, CAST(big AS bigint) big, day, name, rtrim(`Code `) `Code `"
    rows = spark.sql(f"SELECT id, {casts} FROM VALUES {ROWS} AS t ({names})")
    rows.createOrReplaceTempView("t")
    return {name: Key(name, rows.schema[name].dataType, base) for name, (_, base) in COLUMNS.items()}


@pytest.mark.parametrize("names", [*([name] for name in COLUMNS), ["small", "day"], ["name", "big", "Code "]], ids=str)
def test_the_server_selects_the_rows_that_spark_puts_into_a_bucket(
    spark: SparkSession, session: Session, keys: dict[str, Key], names: list[str]
) -> None:
    chosen = [keys[name] for name in names]
    number = bucket(chosen)
    assert number is not None
    ids = defaultdict(list)
    for row in spark.table("t").select("id", number.alias("bucket")).orderBy("id").collect():
        ids[row["bucket"]].append(row["id"])
    for one, of_spark in ids.items():
        found = session.run(f"SELECT id FROM t WHERE {bucket_condition(chosen, [one])} ORDER BY id")
        assert [row[0] for row in found] == of_spark
    everything = session.run(f"SELECT count(*) FROM t WHERE {bucket_condition(chosen, sorted(ids))}")
    assert everything == [[6]]


def test_a_sample_takes_the_same_keys_on_both_sides(
    spark: SparkSession, session: Session, keys: dict[str, Key]
) -> None:
    for name, key in keys.items():
        of_spark = spark.table("t").where(is_sampled(key, STEPS)).orderBy("id").collect()
        found = session.run(f"SELECT id FROM t WHERE {sample_condition(name, STEPS)} ORDER BY id")
        assert [row[0] for row in found] == [row["id"] for row in of_spark]


def test_keys_that_two_programs_may_write_differently_have_no_bucket() -> None:
    keys = [Key("id", t.DecimalType(10, 0), "numeric"), Key("code", t.StringType(), "uuid")]
    assert bucket(keys) is None
    assert not bucket_condition(keys, [1])
