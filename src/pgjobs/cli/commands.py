"""The commands of `pgjobs`, each with its place, and what it needs beside the package itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from pgjobs.console import Console
from pgjobs.distribution import DISTRIBUTION
from pgjobs.errors import DeployError

if TYPE_CHECKING:
    from pgjobs.aws import Clients

Connect = Callable[[], "Clients"]
"""Creates the clients. Commands that make no call do not use it, and need no credentials."""


@dataclass(frozen=True)
class Command:
    """A command: a line about it, and the function that executes it, which is imported when it is asked for.

    Attributes:
        meaning: The line in the help.
        place: The module and the function, "module:function".
        group: The heading under which the help lists it.
    """

    meaning: str
    place: str
    group: str


HERE = "on this machine, with its own Spark (pgjobs-spark[spark])"
SERVERLESS = "a project of your own, and EMR Serverless (pgjobs-spark[deploy])"

_JOBS, _SUBMISSION, _RUNS, _ARCHIVE = (
    f"pgjobs.cli.{name}" for name in ("jobs_here", "submission", "following", "packing")
)

COMMANDS: Mapping[str, Command] = {
    "load": Command("load files into a table", f"{_JOBS}:run", HERE),
    "load-release": Command("load several tables in one transaction", f"{_JOBS}:run", HERE),
    "extract": Command("read a table or a query into files", f"{_JOBS}:run", HERE),
    "query": Command("run SQL once per load id; needs no Spark", f"{_JOBS}:run", HERE),
    "compare": Command("compare a table with files or another table", f"{_JOBS}:run", HERE),
    "copy": Command("copy a table from one server to another; needs no Spark", f"{_JOBS}:run", HERE),
    "capture": Command("keep a copy of a table up to date", f"{_JOBS}:run", HERE),
    "ledger": Command("show and change which loads have finished; needs no Spark", f"{_JOBS}:run", HERE),
    "doctor": Command("examine what a load needs: network, TLS, login, privileges", f"{_JOBS}:run", HERE),
    "init": Command("write a small project of your own", "pgjobs.cli.init:init", SERVERLESS),
    "package": Command("pack the jobs and their packages into an archive", f"{_ARCHIVE}:package", SERVERLESS),
    "verify": Command("check an archive", f"{_ARCHIVE}:verify", SERVERLESS),
    "submit": Command("upload the archive and start a job run", f"{_SUBMISSION}:submit", SERVERLESS),
    "request": Command(
        "print what submit would send, or as commands of the AWS CLI", f"{_SUBMISSION}:show_request", SERVERLESS
    ),
    "run-local": Command("execute on this machine what submit would run", f"{_SUBMISSION}:run_here", SERVERLESS),
    "status": Command("show a run, its attempts and its cost", f"{_RUNS}:show_status", SERVERLESS),
    "logs": Command("print or follow what the workers of a run log", f"{_RUNS}:show_logs", SERVERLESS),
    "cancel": Command("cancel a run", f"{_RUNS}:cancel_run", SERVERLESS),
    "list": Command("list the newest runs of an application", f"{_RUNS}:list_runs", SERVERLESS),
    "dashboard": Command("print the URL of a run's Spark UI", f"{_RUNS}:show_dashboard", SERVERLESS),
    "completion": Command("print the completion of a shell", "pgjobs.cli.completion:completion", SERVERLESS),
}

JOBS: Mapping[str, str] = {
    "load": "load_table",
    "load-release": "load_release",
    "extract": "extract_table",
    "query": "run_query",
    "compare": "compare_table",
    "copy": "copy_table",
    "capture": "capture_changes",
    "ledger": "ledger",
    "doctor": "doctor",
}
"""A command that runs a job here -> the job's module in `jobs`. All words after it are the job's own."""

_EXTRAS: Mapping[str, str] = {
    "boto3": "deploy",
    "botocore": "deploy",
    "elftools": "deploy",
    "shtab": "deploy",
    "uv": "deploy",
    "pyspark": "spark",
    "py4j": "spark",
    "pyarrow": "spark",
}
"""A package that may be missing -> the extra that brings it."""


def run(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Run the command that the options name. Returns the exit status.

    Raises:
        DeployError: An error that the user can correct.
    """
    module, _, name = COMMANDS[options.command].place.partition(":")
    try:
        execute = getattr(import_module(module), name)
        return int(execute(options, connect, console))
    except ModuleNotFoundError as error:
        raise missing(options.command, error) from None


def missing(command: str, error: ModuleNotFoundError) -> DeployError:
    """Return the error for a package that is not installed.

    Raises:
        ModuleNotFoundError: It is no package of an extra, and the error is a fault.
    """
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRAS:
        raise error
    return DeployError(
        f"pgjobs {command} needs {package}, which is not installed: pip install '{DISTRIBUTION}[{_EXTRAS[package]}]'"
    )
