"""Asks the packed job itself whether it takes its arguments, before a run is paid for.

A job that wants to be asked has a function `check_arguments(arguments)` in its entrypoint's module. It raises what the
job would: SystemExit, as argparse does, or an error whose text is for a person. The module must be importable without
Spark; one without the function is not imported.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pgjobs.archive.tarball import unpack_packages
from pgjobs.errors import DeployError

HOOK = "check_arguments"

PATIENCE = 60.0
"""Seconds; a check takes a fraction of one."""

_NOT_IMPORTED = 77
"""An exit status that no job has."""

_PROGRAM = f"""
import importlib, sys
site, module, *arguments = sys.argv[1:]
sys.path.insert(0, site)
try:
    check = importlib.import_module(module).{HOOK}
except Exception as error:
    sys.stderr.write(f"{{type(error).__name__}}: {{error}}")
    sys.exit({_NOT_IMPORTED})
try:
    check(arguments)
except Exception as error:
    sys.stderr.write(f"error: {{error}}")
    sys.exit(2)
"""


def check_arguments(
    archive: Path, script: bytes, entry: str, arguments: Sequence[str], tell: Callable[[str], None]
) -> str:
    """Ask the job.

    Args:
        archive: where it is packed.
        script: its entrypoint's text.
        entry: its name, "load_table".
        arguments: its own.
        tell: is told why a job that wants to be asked could not be.

    Returns:
        What the job prints where it would end at once and well, as for --help; else an empty text.

    Raises:
        DeployError: the job would refuse them; with its own words.
    """
    if not has_hook(script):
        return ""
    with tempfile.TemporaryDirectory(prefix="pgjobs-arguments-") as scratch:
        site = unpack_packages(archive, Path(scratch))
        # Isolated, and without packages of this machine: the archive's own are asked.
        command = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, str(site), f"jobs.{entry}", *arguments]
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        try:
            done = subprocess.run(
                command, cwd=scratch, env=environ, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            tell(f"The arguments of {entry} were not checked: that took more than {PATIENCE:.0f} s.")
            return ""
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    if done.returncode == _NOT_IMPORTED:
        tell(f"The arguments of {entry} were not checked, for it cannot be imported here: {last}")
    elif done.returncode:
        said = last.partition("error: ")[2] or last
        raise DeployError(f"{entry} would not take its arguments: {said.rstrip('.')}. (Its help: -- --help)")
    return done.stdout if done.returncode == 0 else ""


def has_hook(script: bytes) -> bool:
    """Whether an entrypoint wants to be asked."""
    try:
        statements = ast.parse(script).body
    except (SyntaxError, ValueError):  # of a newer Python than this one
        return False
    return any(isinstance(one, ast.FunctionDef) and one.name == HOOK for one in statements)
