"""What runs here: the Python and its packages, and whether they are those that the archive was made for."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jobs.flows.doctor.finding import FAULT, OK, WARNING, Finding

MARKS = "pgjobs.json"
"""The file at the top of an archive. `pgjobs package` writes it."""

_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
"""A processor by `platform.machine()` -> its name in EMR's terms."""


@dataclass(frozen=True)
class Archive:
    """What an archive was made for.

    Attributes:
        python: The minor version of its interpreter.
        spark: The version of the release's Spark.
    """

    release: str
    architecture: str
    python: str
    spark: str


@dataclass(frozen=True)
class Runtime:
    """This process.

    Attributes:
        interpreter: The path of the interpreter.
        machine: The processor, in EMR's terms.
        spark: The version of PySpark; empty if there is none.
    """

    python: str
    interpreter: str
    machine: str
    spark: str


def packages() -> Finding:
    """Return this process's Python, and the packages that a job uses."""
    seen = []
    for package in ("pg8000", "pyspark", "pyarrow", "boto3"):
        try:
            seen.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # EMR's Spark is no distribution
            seen.append(f"{package} -")
    return Finding("Python", OK, f"{platform.python_version()}, {', '.join(seen)}")


def here() -> Runtime:
    """Return what this process is."""
    try:
        from pyspark import __version__ as spark
    except ImportError:
        spark = ""
    machine = platform.machine()
    return Runtime(platform.python_version(), sys.executable, _MACHINES.get(machine.lower(), machine), spark)


def archive_of(module: Path) -> Archive | None:
    """Return what the archive was made for that contains a module; None if it is in none.

    Args:
        module: The module's file, in ENVIRONMENT/lib/python3.X/site-packages.
    """
    file = next((folder / MARKS for folder in module.parents if (folder / MARKS).is_file()), None)
    try:
        content = json.loads(file.read_text(encoding="utf-8")).get("built_for") if file is not None else None
        return None if content is None else Archive(**content)
    except (ValueError, TypeError, AttributeError):  # of another version
        return None


def fit(archive: Archive, runtime: Runtime) -> Iterator[Finding]:
    """Yield the findings about an archive where it runs."""
    advice = "Pack it for the application's release: pgjobs package --release ... --arch ..."
    made_for = f"made for {archive.release}, {archive.architecture}, Python {archive.python}"
    minor = ".".join(runtime.python.split(".")[:2])
    faults = [
        f"it runs on {name} {actual}"
        for name, actual, expected in (
            ("Python", minor, archive.python),
            ("the processor", runtime.machine, archive.architecture),
        )
        if actual != expected
    ]
    if faults:
        yield Finding("archive", FAULT, f"{made_for}; {', '.join(faults)} ({runtime.interpreter})", advice)
    elif runtime.spark and _minor(runtime.spark) != _minor(archive.spark):
        found = f"{made_for}, whose Spark is {archive.spark}; it runs on Spark {runtime.spark}"
        yield Finding("archive", WARNING, found, advice)
    else:
        yield Finding("archive", OK, f"{made_for}, as this is")


def _minor(full: str) -> str:
    return ".".join(full.split(".")[:2])
