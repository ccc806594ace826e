"""Tiny partitions are merged, others are left alone."""

from __future__ import annotations

import pytest

from jobs.spark.plans.part_sizes import merged_parts

KIB, MIB, UNKNOWN = 1 << 10, 1 << 20, (1 << 63) - 1

MERGES = {
    "tiny ones": (2_000, 2_000 * KIB, None, 64),
    "as many as keep the connections busy": (2_000, 2_000 * KIB, 8, 32),
    "none fewer than keep many connections busy": (2_000, 2_000 * KIB, 1_000, 2_000),
    "empty ones": (2_000, 0, None, 64),
    "small ones, into parts of 8 MiB": (10_000, 5_000 * MIB, None, 625),
    "not those of a MiB": (2_000, 2_000 * MIB, None, 2_000),
    "not those of unknown size": (2_000, UNKNOWN, None, 2_000),
    "not few": (64, 0, None, 64),
    "not one": (1, 0, 1, 1),
    "none at all": (0, 0, None, 0),
}


@pytest.mark.parametrize("name", MERGES)
def test_partitions_are_merged_where_their_number_costs_more_than_their_rows(name: str) -> None:
    partitions, size, parallelism, parts = MERGES[name]
    assert merged_parts(partitions, size, parallelism) == parts
