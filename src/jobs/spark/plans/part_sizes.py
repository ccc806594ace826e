"""Merges tiny partitions, where their number costs more than their rows.

A part costs Spark a job, and the load a connection and a transaction: some 64 ms, whatever its size. Two thousand tiny
parts took 131 seconds. Merging them moves no data: one task computes several partitions, one after another.
"""

from __future__ import annotations

from math import ceil

from pyspark.sql import DataFrame

from jobs.spark.plans.repeatable import optimized_plan

TINY = 1 << 20
"""Bytes, by Spark's estimate. A MiB takes about as long as its part costs."""

MERGED = 8 << 20
"""Bytes of a part of merged partitions. It is small, because Spark's estimate is of compressed files, for example."""

MOST_CONNECTIONS = 16
"""Connections of a load without --parallelism, at most."""

PARTS_PER_CONNECTION = 4
"""So many parts remain at least, that all connections end at about the same time if some parts are large after all."""

FEWEST = 16
"""So few parts are not worth merging: together they cost a second."""


def parts_of(df: DataFrame, partitions: int, parallelism: int | None) -> int:
    """Return how many parts to make of so many partitions. The arguments are those of `merged_parts`.

    Where that cannot be fewer, the query is not asked for its size, for which Spark optimizes it.
    """
    if partitions <= _fewest(parallelism):
        return partitions
    return merged_parts(partitions, estimated_size(df), parallelism)


def merged_parts(partitions: int, size: int, parallelism: int | None) -> int:
    """Return how many parts to make of a number of partitions.

    Args:
        partitions: The partitions of the rows.
        size: Spark's estimate of all rows, in bytes. What it cannot estimate is 8 EiB to it, and stays as it is.
        parallelism: The most connections at once, or None for the default.
    """
    if size >= partitions * TINY:
        return partitions
    return min(partitions, max(_fewest(parallelism), ceil(size / MERGED)))


def _fewest(parallelism: int | None) -> int:
    return max(FEWEST, PARTS_PER_CONNECTION * (parallelism or MOST_CONNECTIONS))


def estimated_size(df: DataFrame) -> int:
    """Return Spark's estimate of the size of all rows, in bytes."""
    return int(optimized_plan(df).stats().sizeInBytes())
