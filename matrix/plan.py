"""Which versions are tried together, and with which tests: values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
POSTGRESES = ("14", "15", "16", "17", "18")
SPARKS = {
    "3.5": ("3.9", "3.10", "3.11"),
    "4.0": ("3.9", "3.10", "3.11", "3.12", "3.13"),
    "4.1": ("3.10", "3.11", "3.12", "3.13"),
}
"""The Pythons of each PySpark, as its package says: of 3.5 by its classifiers (its cloudpickle does not know 3.12)."""

CORE = (
    "tests/unit",
    "tests/spark/test_load.py",
    "tests/spark/test_round_trip.py",
    "tests/spark/test_extract.py",
    "tests/spark/test_pgcopy_write.py",
    "tests/spark/test_pgcopy_read.py",
)
"""All that needs no server, and a way through each flow of Spark's."""

RELEASES = {"3.5": ("3.9", "14"), "4.0": ("3.11", "16"), "4.1": ("3.11", "18")}
"""Python and PostgreSQL of each PySpark's whole suite: Python as EMR has it, servers from the oldest to the newest."""


@dataclass(frozen=True, order=True)
class Trial:
    """Versions that are tried together.

    Attributes:
        tests: "postgres" (all of tests/postgres), "core" (CORE) or "whole" (the whole suite).
    """

    tests: str
    postgres: str
    spark: str
    python: str

    @property
    def name(self) -> str:
        """What it is chosen by: core-postgres-18-spark-3.5-python-3.9."""
        return f"{self.tests}-postgres-{self.postgres}-spark-{self.spark}-python-{self.python}"

    @property
    def environment(self) -> str:
        """The folder of its Python environment, which others may share."""
        return f"python-{self.python}-spark-{self.spark}"

    @property
    def paths(self) -> tuple[str, ...]:
        """What pytest is given; nothing means all."""
        return {"postgres": ("tests/postgres",), "core": CORE, "whole": ()}[self.tests]


def trials() -> list[Trial]:
    """All that is tried: what is quick comes first.

    Each PostgreSQL goes with a Python of its own, so that five runs cover both, and with the newest Spark that this
    Python has (tests/postgres start none). Each Spark goes with each of its Pythons, on the newest PostgreSQL.
    """
    servers = [
        Trial("postgres", postgres, newest_spark(python), python) for postgres, python in zip(POSTGRESES, PYTHONS)
    ]
    cores = [Trial("core", POSTGRESES[-1], spark, python) for spark, pythons in SPARKS.items() for python in pythons]
    wholes = [Trial("whole", postgres, spark, python) for spark, (python, postgres) in RELEASES.items()]
    return [*servers, *cores, *wholes]


def newest_spark(python: str) -> str:
    """The newest PySpark for a Python."""
    return [spark for spark, pythons in SPARKS.items() if python in pythons][-1]


def choose(patterns: Sequence[str], among: Sequence[Trial]) -> list[Trial]:
    """The trials whose name one of the patterns describes, as a shell would: `core-*python-3.9`. No pattern: all.

    Raises:
        ValueError: a pattern describes none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(trial.name, pattern) for trial in among):
            names = "\n".join(f"  {trial.name}" for trial in among)
            raise ValueError(f"PAIRS={pattern} names none of these:\n{names}")
    return [trial for trial in among if not patterns or any(fnmatchcase(trial.name, one) for one in patterns)]
