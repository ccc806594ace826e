"""Decides which versions are tested together, and with which tests: values in, values out."""

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
"""The Pythons of each PySpark, as its package declares (3.5: in its classifiers; its cloudpickle lacks 3.12)."""

POSTGRES = (
    "tests/postgres",
    "tests/guarantees/test_docs_database.py",
    "tests/guarantees/test_failover.py",
    "tests/guarantees/test_hostile_wire.py",
    "tests/guarantees/test_memory.py",
    "tests/guarantees/test_replication.py",
    "tests/guarantees/test_rotation.py",
)
"""All that needs a server and no Spark."""

CORE = (
    "tests/unit",
    "tests/guarantees/test_docs_examples.py",
    "tests/guarantees/test_fuzz_findings.py",
    "tests/guarantees/test_hostile_server.py",
    "tests/guarantees/test_protocol.py",
    "tests/spark/test_load_job.py",
    "tests/guarantees/test_round_trip.py",
    "tests/spark/test_extract_job.py",
    "tests/spark/test_pgcopy_writer.py",
    "tests/spark/test_pgcopy_reader.py",
)
"""All tests that need no server, and one path through each flow of Spark's."""

RELEASES = {"3.5": ("3.9", "14"), "4.0": ("3.11", "16"), "4.1": ("3.11", "18")}
"""Python and PostgreSQL for each PySpark's whole suite: Python as in EMR, servers from the oldest to the newest."""


@dataclass(frozen=True, order=True)
class Trial:
    """Versions that are tested together.

    Attributes:
        tests: "postgres" (POSTGRES), "core" (CORE) or "whole" (the whole suite).
    """

    tests: str
    postgres: str
    spark: str
    python: str

    @property
    def name(self) -> str:
        """Return the name by which it is chosen: core-postgres-18-spark-3.5-python-3.9."""
        return f"{self.tests}-postgres-{self.postgres}-spark-{self.spark}-python-{self.python}"

    @property
    def environment(self) -> str:
        """Return the folder of its Python environment, which trials may share."""
        return f"python-{self.python}-spark-{self.spark}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths for pytest; empty for all."""
        return {"postgres": POSTGRES, "core": CORE, "whole": ()}[self.tests]


def trials() -> list[Trial]:
    """Return all trials, quick ones first.

    Each PostgreSQL is paired with a Python of its own, so that five runs cover both, and with the newest Spark for this
    Python (these tests start none). Each Spark is paired with each of its Pythons, on the newest PostgreSQL.
    """
    servers = [
        Trial("postgres", postgres, newest_spark(python), python) for postgres, python in zip(POSTGRESES, PYTHONS)
    ]
    cores = [Trial("core", POSTGRESES[-1], spark, python) for spark, pythons in SPARKS.items() for python in pythons]
    wholes = [Trial("whole", postgres, spark, python) for spark, (python, postgres) in RELEASES.items()]
    return [*servers, *cores, *wholes]


def newest_spark(python: str) -> str:
    """Return the newest PySpark for a Python."""
    return [spark for spark, pythons in SPARKS.items() if python in pythons][-1]


def choose(patterns: Sequence[str], among: Sequence[Trial]) -> list[Trial]:
    """Return the trials whose names match one of the patterns, as in a shell: `core-*python-3.9`. No pattern means all.

    Raises:
        ValueError: A pattern matches none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(trial.name, pattern) for trial in among):
            names = "\n".join(f"  {trial.name}" for trial in among)
            raise ValueError(f"PAIRS={pattern} names none of these:\n{names}")
    return [trial for trial in among if not patterns or any(fnmatchcase(trial.name, one) for one in patterns)]
