"""How many executors a load or an extract gets where nobody says, and which of a job's arguments counts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pgjobs.submit.spark_conf import MOST_EXECUTORS, argument, default_sizes

FIRST = ("spark.dynamicAllocation.initialExecutors", "spark.executor.instances")


@pytest.mark.parametrize(
    ("parallelism", "stated", "most"),
    [
        ("16", {}, 4),
        ("17", {}, 5),
        ("12", {}, 3),
        ("12", {"spark.dynamicAllocation.enabled": "true"}, 3),
        ("16", {"spark.executor.cores": "2"}, 8),
        ("16", {"spark.executor.cores": "8", "spark.task.cpus": "4"}, 8),
        ("3", {"spark.executor.cores": "1", "spark.task.cpus": "2"}, 3),
    ],
)
def test_as_many_executors_as_copy_at_once(parallelism: str, stated: Mapping[str, str], most: int) -> None:
    for own in ("load_table", "extract_table"):
        assert default_sizes(own, ("--parallelism", parallelism), stated) == {MOST_EXECUTORS: str(most)}


def test_fewer_executors_than_emr_starts_with_are_also_the_first_ones() -> None:
    """EMR starts 3. Spark would refuse or exceed a maximum below the number to start with."""
    assert default_sizes("load_table", ("--parallelism=8",), {}) == dict.fromkeys((MOST_EXECUTORS, *FIRST), "2")


@pytest.mark.parametrize(
    "stated",
    [
        {"spark.dynamicAllocation.maxExecutors": "20"},
        {"spark.executor.instances": "10"},
        {"spark.dynamicAllocation.enabled": "false"},
        {"spark.dynamicAllocation.minExecutors": "6"},
        {"spark.executor.cores": "many"},
    ],
)
def test_a_number_of_executors_that_is_stated_anyhow_is_left_alone(stated: Mapping[str, str]) -> None:
    assert default_sizes("load_table", ("--parallelism", "2"), stated) == {}


@pytest.mark.parametrize(
    ("own", "arguments"),
    [
        ("load_table", ()),
        ("load_table", ("--parallelism", "0")),
        ("load_table", ("--parallelism", "x")),
        ("load_table", ("--parallelism",)),
        ("run_query", ("--parallelism", "2")),
        ("", ("--parallelism", "2")),
    ],
)
def test_what_says_nothing_of_copying_is_sized_by_emr(own: str, arguments: tuple[str, ...]) -> None:
    assert default_sizes(own, arguments, {}) == {}


def test_the_last_of_repeated_arguments_counts_as_for_the_job_itself() -> None:
    assert argument(("--load-id", "x", "--load-id="), "--load-id") == ""
    assert argument(("--load-id=x", "--load-id", "y"), "--load-id") == "y"
    assert argument(("--load-id",), "--load-id") == ""
