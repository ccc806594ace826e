"""Runs the tests of a trial, and parses the result."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from matrix import junit
from matrix.environments import ROOT
from matrix.errors import MatrixError
from matrix.plan import Trial
from matrix.table import Counts
from servermgr.binaries import version_of

_INTERRUPTED = 2
"""pytest's exit status for Ctrl-C."""
_NO_TESTS_RUN = (3, 4, 5)
"""pytest's exit statuses for an internal error, wrong usage, and no collected tests."""


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Attributes:
        versions: Of PostgreSQL, PySpark and Python.
        failures: The failed tests.
    """

    versions: tuple[str, str, str]
    counts: Counts
    failures: Sequence[str]


def run(trial: Trial, venv: Path, programs: Path, folder: Path, arguments: Sequence[str]) -> Outcome:
    """Run tests on a server and in an environment.

    Args:
        trial: The name of the trial.
        venv: The environment.
        programs: The directory of the server's programs.
        folder: The folder for the log and the report.
        arguments: The arguments of pytest.

    Raises:
        MatrixError: pytest did not run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report, log = (folder / f"{trial.name}.{ending}" for ending in ("xml", "log"))
    report.unlink(missing_ok=True)
    # The work tree is shared with the other environments, so nothing is cached there.
    command = [str(venv / "bin" / "pytest"), "-q", "-p", "no:cacheprovider", "--junitxml", str(report), *arguments]
    names = {name: value for name, value in os.environ.items() if name not in ("TEST_DATABASE_URL", "POSTGRES_VERSION")}
    start = time.monotonic()
    with log.open("w") as output:
        completed = subprocess.run(
            command, cwd=ROOT, env={**names, "POSTGRES_BIN": str(programs)}, stdout=output, stderr=output, check=False
        )
    seconds = time.monotonic() - start
    if completed.returncode == _INTERRUPTED:
        raise KeyboardInterrupt
    if completed.returncode in _NO_TESTS_RUN or not report.is_file():
        raise MatrixError(f"pytest ended with status {completed.returncode} and ran nothing: see {log}")
    root = ET.parse(report).getroot()  # noqa: S314 - pytest has just written it
    counts = junit.counts(root)
    versions = (version_of(programs), *installed(venv))
    return Outcome(versions, Counts(counts.passed, counts.failed, counts.skipped, seconds), junit.failures(root))


def installed(venv: Path) -> tuple[str, str]:
    """Return the versions of PySpark and Python in an environment."""
    code = (
        "import platform; from importlib.metadata import version; print(version('pyspark'), platform.python_version())"
    )
    completed = subprocess.run([str(venv / "bin" / "python"), "-c", code], capture_output=True, text=True, check=True)
    spark, python = completed.stdout.split()
    return spark, python
