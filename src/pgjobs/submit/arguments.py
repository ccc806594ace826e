"""Has the packed job check its own arguments, before a run is paid for.

A job supports this with a function `check_arguments(arguments)` in its entrypoint's module. The function raises what
the job would raise: SystemExit, as argparse does, or an error with a readable message. The module must be importable
without Spark. A module without the function is not imported.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pgjobs.archive.tarball import unpack_packages
from pgjobs.errors import DeployError
from pgjobs.submit.entry import Entry

HOOK = "check_arguments"

PATIENCE = 60.0
"""Seconds; a check takes a fraction of a second."""

_NOT_IMPORTED = 77
"""An exit status that no job uses."""

_PROGRAM = f"""
import importlib, os, sys
site, paths, module, *arguments = sys.argv[1:]
sys.path[:0] = [site, *paths.split(os.pathsep)]
sys.argv[0] = module.rpartition(".")[2] + ".py"
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
    archive: Path,
    entry: Entry,
    arguments: Sequence[str],
    tell: Callable[[str], None],
    python_files: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """Have the job check its arguments.

    Args:
        archive: The archive that contains the job's packages.
        entry: The job.
        arguments: Its arguments.
        tell: Is called with the reason if a job that supports the check could not be imported.
        python_files: What the job can import beside the archive, by name: modules and ZIP files.

    Returns:
        The job's output if it would exit at once with success, as for --help; otherwise an empty text.

    Raises:
        DeployError: The job would refuse them. The message is the job's own.
    """
    if entry.content is None or not has_hook(entry.content):
        return ""
    with tempfile.TemporaryDirectory(prefix="pgjobs-arguments-") as scratch:
        site = unpack_packages(archive, Path(scratch))
        # Isolated, without the packages of this machine: only the archive's own packages are used.
        script = Path(scratch, "script")
        script.mkdir()
        for name, content in {**python_files, f"{entry.name}.py": entry.content}.items():
            (script / name).write_bytes(content)
        zipped = [str(script / name) for name in python_files if not name.endswith(".py")]
        module = [str(site), os.pathsep.join([str(script), *zipped]), entry.module or entry.name]
        command = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, *module, *arguments]
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if name in os.environ}
        try:
            completed = subprocess.run(
                command, cwd=scratch, env=environ, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            tell(f"The arguments of {entry.name} were not checked: that took more than {PATIENCE:.0f} s.")
            return ""
    last = (completed.stderr.strip().splitlines() or ["no reason given"])[-1]
    if completed.returncode == _NOT_IMPORTED:
        tell(f"The arguments of {entry.name} were not checked, because it cannot be imported here: {last}")
    elif completed.returncode:
        message = last.partition("error: ")[2] or last
        raise DeployError(f"{entry.name} refuses its arguments: {message.rstrip('.')}. (For help: -- --help)")
    return completed.stdout if completed.returncode == 0 else ""


def has_hook(script: bytes) -> bool:
    """Return whether an entrypoint supports the check."""
    try:
        statements = ast.parse(script).body
    except (SyntaxError, ValueError):  # syntax of a newer Python than this one
        return False
    return any(HOOK in _named(one) for one in statements)


def _named(statement: ast.stmt) -> list[str]:
    """Return the names that a definition or an assignment gives."""
    if isinstance(statement, ast.FunctionDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
