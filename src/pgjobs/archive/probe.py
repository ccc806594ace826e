"""Shows from within which Python runs and which packages it sees. The archive's own interpreter runs it.

    ./environment/bin/python probe.py                 this process, as in a container of the image
    spark-submit probe.py --spark FILE EXECUTORS      driver and executors, as JSON into a file

This file is sent alone to where the archive was unpacked, so it uses only the standard library and Python 3.9 syntax.
"""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

ENVIRONMENT = "environment"
"""The folder in the working directory into which Spark unpacks the archive."""

SPARK_HOME = "/usr/lib/spark"
"""The folder of Spark in EMR's images."""

PACKED = ("jobs", "pg8000")
"""Packages that must come from the archive."""

OF_THE_IMAGE = ("boto3", "pandas", "pyarrow", "pyspark")
"""Packages that the image has, or the archive by --with. They are shown, but not required."""


def look(role: str) -> dict[str, Any]:
    """Return what this process is and sees, as plain data that executors can send to the driver."""
    return {
        "role": role,
        "environment": os.path.realpath(ENVIRONMENT),
        "prefix": os.path.realpath(sys.prefix),
        "interpreter": os.path.realpath(sys.executable),
        "python": platform.python_version(),
        "glibc": platform.libc_ver()[1],
        "packages": {name: package for name in PACKED + OF_THE_IMAGE for package in [_package(name)] if package},
    }


def _package(name: str) -> dict[str, str]:
    """Return the path and version of a package; empty if it is missing. It is only located: importing is slow."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return {}
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:  # jobs is copied into the archive, and the image's Spark is no distribution
        version = ""
    return {"file": os.path.realpath(spec.origin), "version": version}


def faults(process: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each reason why what a process saw is not the archive."""
    inside = process["environment"] + os.sep
    if process["prefix"] + os.sep != inside:
        yield f"The {process['role']} runs on {process['interpreter']}, not on the archive's interpreter."
    for name in PACKED:
        file = process["packages"].get(name, {}).get("file")
        if file is None:
            yield f"The {process['role']} does not see {name}."
        elif not file.startswith(inside):
            yield f"The {process['role']} has {name} from {file}, not from the archive."


def describe(process: Mapping[str, Any]) -> str:
    """Return what a process saw as text: a line for the interpreter, and one for each package."""
    lines = [
        f"{process['role']}: Python {process['python']} ({process['interpreter']}), glibc {process['glibc'] or 'none'}"
    ]
    for name in PACKED + OF_THE_IMAGE:
        package = process["packages"].get(name)
        lines.append(
            f"  {name:8} {package['version'] or '-':12} {package['file']}" if package else f"  {name:8} not visible"
        )
    return "\n".join(lines)


def see_all(executors: int) -> list[dict[str, Any]]:
    """Return what the driver and each executor see.

    A barrier stage runs its tasks at the same time: with one core each, every executor gets one task.
    """
    from pyspark import SparkContext

    with SparkContext(appName="pgjobs probe") as context:
        tasks = context.parallelize(range(executors), executors).barrier()
        return [
            look("driver"),
            *tasks.mapPartitions(lambda numbers: [look(f"executor {n}") for n in numbers]).collect(),
        ]


def check_here() -> int:
    """Check this process, and that the job starts, with Spark's Python packages on the path. Returns the status."""
    home = os.environ.get("SPARK_HOME", SPARK_HOME)
    archives = sorted(glob.glob(os.path.join(glob.escape(home), "python", "lib", "*.zip")))  # noqa: PTH207, PTH118 - alone and small
    sys.path += archives
    process = look("archive's Python")
    problems = list(faults(process))
    start = "import jobs.flows.load.dataframe, runpy; runpy.run_module('jobs.load_table', run_name='__main__')"
    command = [sys.executable, "-c", start, "--help"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(archives)}
    completed = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if completed.returncode or "usage: load_table.py" not in completed.stdout:
        problems.append(f"load_table does not start: {(completed.stderr.strip().splitlines() or ['no output'])[-1]}")
    print("\n".join([describe(process), *(f"error: {fault}" for fault in problems)]))
    return 1 if problems else 0


def main(arguments: Sequence[str]) -> int:
    """Examine this process, or a Spark application. Returns the exit status."""
    if not arguments:
        return check_here()
    _, file, executors = arguments
    with open(file, "w") as output:  # noqa: PTH123 - alone and small
        json.dump(see_all(int(executors)), output)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
