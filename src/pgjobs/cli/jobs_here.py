"""The commands load, load-release, extract, query, ...: a job in this process, with this machine's Spark."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from pgjobs.cli.commands import JOBS, Connect
from pgjobs.cli.options import meant
from pgjobs.console import Console
from pgjobs.errors import DeployError

WITHOUT_SPARK = ("query", "capture", "ledger", "doctor")
"""Commands that start no Spark, unless they read or write files, or read a table of its catalogs."""

COPY = "copy"
"""The command that starts none unless there is a query for it. It needs PySpark all the same, and no Java then."""


def run(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Check the job's arguments, and whether Spark can start, and run the job. Returns its exit status.

    Raises:
        DeployError: This machine has no Java.
        SystemExit: The arguments are wrong, or ask for help.
    """
    del connect
    module = import_module(f"jobs.{JOBS[options.command]}")
    script = _SCRIPTS.get(options.command, f"{JOBS[options.command]}.py")
    with _renamed(script, options.command, console, module.build_parser):
        parsed = module.parse(options.arguments)
    starts_spark = _starts_spark(options.command, parsed) and not parsed.show_connection
    if starts_spark or options.command == COPY:
        import_module("pyspark")  # its absence has a message of its own
    if starts_spark:
        refuse_without_java(os.environ, shutil.which)
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # by default, workers run the first python3 of PATH
    main: Callable[[Sequence[str], Mapping[str, str]], int] = module.main
    return main(options.arguments, os.environ)


def _starts_spark(command: str, parsed: argparse.Namespace) -> bool:
    """Return whether a job starts Spark."""
    if command == COPY:
        return parsed.select is not None
    data = (getattr(parsed, name, None) for name in ("target", "source", "source_table"))
    return command not in WITHOUT_SPARK or any(one is not None for one in data)


_SCRIPTS: Mapping[str, str] = {"ledger": "python -m jobs.ledger"}
"""A command -> what its job calls itself, if that is not the name of its script."""


@contextmanager
def _renamed(
    script: str, command: str, console: Console, build_parser: Callable[[], argparse.ArgumentParser]
) -> Iterator[None]:
    """Print help and errors for this command instead of the script of spark-submit; an error without the usage."""
    out, err, ours = StringIO(), StringIO(), f"pgjobs {command}"
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield
    finally:
        console.out.write(out.getvalue().replace(f"spark-submit {script}", ours).replace(script, ours))
        error = re.search(rf"{re.escape(script)}( [a-z-]+)?: error: (.*)", err.getvalue(), re.DOTALL)
        if error:
            console.tell(f"error: {_with_near_flag(error[2], build_parser())}For help: {ours}{error[1] or ''} --help")


def _with_near_flag(error: str, parser: argparse.ArgumentParser) -> str:
    """Return an error of argparse. If it is about an unknown flag, it asks whether a similar one was meant."""
    unknown = error.partition("unrecognized arguments: ")[2].split()
    flags = [flag for action in parser._actions for flag in action.option_strings]  # noqa: SLF001 - argparse has no public list
    near = next(filter(None, (meant(word.partition("=")[0], flags) for word in unknown if word.startswith("--"))), "")
    return f"{error.rstrip()}{near}\n"


def refuse_without_java(environ: Mapping[str, str], which: Callable[[str], Any]) -> None:
    """Refuse to start Spark where it would not find Java. Its own message names neither.

    Raises:
        DeployError: There is no Java in JAVA_HOME or on PATH.
    """
    home = environ.get("JAVA_HOME", "")
    if home and not Path(home, "bin").is_dir():
        raise DeployError(f"JAVA_HOME is {home}, where there is no Java: set it to a Java 17, or unset it.")
    if not home and which("java") is None:
        raise DeployError(
            "Spark needs Java 17, and there is none in JAVA_HOME or on PATH. "
            "On Debian and Ubuntu: apt install openjdk-17-jre-headless. On macOS: brew install openjdk@17. "
            "On Windows: winget install EclipseAdoptium.Temurin.17.JRE"
        )
