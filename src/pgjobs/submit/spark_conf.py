"""Spark's configuration of a run: what the archive needs, the sizes of some jobs, and what the user states."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from pgjobs.archive.probe import ENVIRONMENT
from pgjobs.errors import DeployError

PYTHON = f"./{ENVIRONMENT}/bin/python"

# The driver's variables have a prefix of EMR's, the executors' have Spark's.
PYTHON_CONF = {
    "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": PYTHON,
    "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": PYTHON,
    "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
}

RESERVED = frozenset({"spark.archives", *PYTHON_CONF})
"""The configuration that the archive needs. A --conf with one of these keys would override it."""

DOCTOR = "doctor"
_SMALL_WORKER = {"cores": "1", "memory": "2g"}
SMALLEST = {
    **{f"spark.{worker}.{what}": text for worker in ("driver", "executor") for what, text in _SMALL_WORKER.items()},
    "spark.executor.instances": "1",
    "spark.dynamicAllocation.enabled": "false",
}
"""The sizes for a job that only looks: a worker has at least one core, and at least 2 GB for it.
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-behavior.html"""

LOAD, RELEASE = "load_table", "load_release"
EXTRACT = "extract_table"
"""The job that commits its files only at its end, so that it may be retried without an id."""

MOST_EXECUTORS = "spark.dynamicAllocation.maxExecutors"
_COUNTS = (
    MOST_EXECUTORS,
    "spark.dynamicAllocation.initialExecutors",
    "spark.dynamicAllocation.minExecutors",
    "spark.executor.instances",
)
"""Each of these states how many executors a run is to have."""

_EMRS_CORES, _EMRS_FIRST_EXECUTORS = 4, 3
"""EMR's defaults: cores of an executor, and executors at the start. There is no default for the most executors.
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-spark.html"""


def spark_parameters(archive: str, extras: Mapping[str, str], sizes: Mapping[str, str], conf: Mapping[str, str]) -> str:
    """Return the --conf flags as shell words, quoted only where a shell requires it.

    Args:
        archive: The S3 URI of the archive.
        extras: The keys that name further files, with their URIs, separated by commas.
        sizes: The sizes that the job has by default.
        conf: What the user states.
    """
    merged = {"spark.archives": f"{archive}#{ENVIRONMENT}", **PYTHON_CONF, **extras, **sizes, **conf}
    return " ".join(f"--conf {_quoted(f'{key}={value}')}" for key, value in merged.items())


def _quoted(word: str) -> str:
    """Quote like shlex.quote, except for the # of spark.archives, which AWS's own examples do not quote."""
    return word if re.fullmatch(r"[\w@%+=:,./#-]+", word, re.ASCII) else shlex.quote(word)


def default_sizes(own: str, arguments: Sequence[str], stated: Mapping[str, str]) -> Mapping[str, str]:
    """Return the sizes that a job has unless the user states others.

    Args:
        own: The short name if it is a job of pgjobs; empty for other jobs.
        arguments: The job's own arguments.
        stated: Spark's configuration, as the user states it.
    """
    if own == DOCTOR:
        return SMALLEST
    if own in (LOAD, RELEASE, EXTRACT):
        return _enough_executors(argument(arguments, "--parallelism"), stated)
    return {}


def _enough_executors(parallelism: str, stated: Mapping[str, str]) -> Mapping[str, str]:
    """Return how many executors a job uses that copies at most so many parts at once. More would wait, and cost.

    Nothing is returned if the user states a number of executors, or something that is no number.
    """
    cores, of_a_task = (stated.get(key, str(default)) for key, default in _OF_EXECUTORS.items())
    fixed = stated.get("spark.dynamicAllocation.enabled", "true").lower() == "false"
    if fixed or any(key in stated for key in _COUNTS) or not all(map(_is_count, (parallelism, cores, of_a_task))):
        return {}
    at_once = max(int(cores) // int(of_a_task), 1)
    most = -(-int(parallelism) // at_once)
    first = ("spark.dynamicAllocation.initialExecutors", "spark.executor.instances")
    return {MOST_EXECUTORS: str(most), **(dict.fromkeys(first, str(most)) if most < _EMRS_FIRST_EXECUTORS else {})}


_OF_EXECUTORS = {"spark.executor.cores": _EMRS_CORES, "spark.task.cpus": 1}


def _is_count(text: str) -> bool:
    return re.fullmatch("0*[1-9][0-9]*", text) is not None


def argument(arguments: Sequence[str], wanted: str) -> str:
    """Return the value of a flag among a job's arguments, or an empty text. The last one counts, as in argparse."""
    found = ""
    for flag, following in zip(arguments, [*arguments[1:], ""]):
        name, equals, value = flag.partition("=")
        if name == wanted:
            found = value if equals else following
    return found


def refuse_reserved(place: str, keys: Mapping[str, str]) -> None:
    """Refuse configuration that would make the driver or the executors not use the archive.

    Args:
        place: Where the configuration is stated, "--conf".
        keys: The configuration.

    Raises:
        DeployError: Names the keys.
    """
    reserved = sorted(RESERVED & set(keys))
    if reserved:
        raise DeployError(f"{place} {', '.join(reserved)} is set by the archive: omit it.")
