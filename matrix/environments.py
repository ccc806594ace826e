"""Finds a Python, and creates its environment with a PySpark, by scripts/setup.py."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from matrix.errors import MatrixError
from matrix.plan import Trial

ROOT = Path(__file__).resolve().parents[1]


def environment(trial: Trial, folder: Path, named: Mapping[str, Path]) -> Path:
    """Return the environment of a trial, created or updated.

    Args:
        trial: The Python and the PySpark.
        folder: The folder of all environments.
        named: The interpreters that the user names, by version.

    Raises:
        MatrixError: There is no such Python, or the environment cannot be created.
    """
    python = named.get(trial.python) or find(trial.python, candidates(trial.python))
    venv = folder / trial.environment
    setup = ROOT / "scripts" / "setup.py"
    completed = subprocess.run([str(python), str(setup), "--venv", str(venv), "--spark", trial.spark], check=False)
    if completed.returncode:
        raise MatrixError(f"there is no environment {trial.environment}: see above")
    return venv


def candidates(version: str) -> list[Path]:
    """Return where a Python of a version may be: the one that runs this, those of pyenv, and PATH."""
    home = Path.home() / ".pyenv" / "versions"
    own = [Path(sys.executable).resolve()] if sys.version_info[:2] == tuple(map(int, version.split("."))) else []
    on_path = shutil.which(f"python{version}")
    return [*own, *sorted(home.glob(f"{version}.*/bin/python{version}")), *([Path(on_path)] if on_path else [])]


def find(version: str, among: Iterable[Path]) -> Path:
    """Return the first interpreter with the version. pyenv has shims also for versions that are not installed.

    Raises:
        MatrixError: None has it.
    """
    for python in among:
        if answer(python) == version:
            return python
    raise MatrixError(f"there is no Python {version}: name one by PYTHONS={version}=/path/to/python{version}")


def answer(python: Path) -> str:
    """Return the version that an interpreter reports, "3.12"; empty if it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    completed = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return completed.stdout.strip() if completed.returncode == 0 else ""
