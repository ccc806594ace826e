"""The command init: writes a small project of your own, with a job that works, and its test."""

from __future__ import annotations

import argparse
import keyword
import re
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from pgjobs.archive.project import OF_PYTHON, TAKEN
from pgjobs.cli.commands import Connect
from pgjobs.console import Console
from pgjobs.errors import OK, DeployError

NAME = "acme_jobs"
"""The package's name in the template."""

FILES: Mapping[str, str] = {
    "pyproject.toml": "pyproject.toml",
    "Makefile": "Makefile",
    ".gitignore": "gitignore",
    f"src/{NAME}/__init__.py": "package.py",
    f"src/{NAME}/nightly_totals.py": "nightly_totals.py",
    "tests/conftest.py": "conftest.py",
    "tests/test_nightly_totals.py": "test_nightly_totals.py",
}
"""A file of the project -> its template in pgjobs/template, without .in."""


def init(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Write the project.

    Raises:
        DeployError: The folder's name cannot be the name of a package, or one of the files exists.
    """
    del connect
    folder: Path = options.folder
    name = package_name(options.name or folder.resolve().name)
    texts = project(name)
    existing = [path for path in texts if (folder / path).exists()]
    if existing:
        raise DeployError(f"{folder} has {', '.join(existing)} already: nothing was written. Choose another folder.")
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    console.answer(next_steps(folder, texts), {"folder": str(folder), "package": name, "files": list(texts)})
    return OK


def package_name(text: str) -> str:
    """Return the name of the package for a folder's name: shop_jobs for shop-jobs.

    Raises:
        DeployError: It cannot be the name of a package, or one that pgjobs needs.
    """
    name = re.sub(r"[-. ]+", "_", text).lower()
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise DeployError(f"{text!r} cannot be the name of a package: give another one, --name my_jobs.")
    if keyword.iskeyword(name) or name in OF_PYTHON:
        raise DeployError(f"{name} is a word or a module of Python itself: give another name, --name my_jobs.")
    if name in TAKEN:
        raise DeployError(
            f"{name} is the name of a package that pgjobs needs itself: give another one, --name my_jobs."
        )
    return name


def project(name: str) -> dict[str, str]:
    """Return the texts of a project's files by their paths."""
    template = files("pgjobs") / "template"
    return {
        path.replace(NAME, name): (template / f"{source}.in").read_text(encoding="utf-8").replace(NAME, name)
        for path, source in FILES.items()
    }


def next_steps(folder: Path, texts: Mapping[str, str]) -> str:
    """Return what was written, and how to go on."""
    there = "" if folder.resolve() == Path.cwd() else f"  cd {shlex.quote(str(folder))}\n"
    return (
        f"Wrote {', '.join(texts)}. Next:\n{there}"
        '  pip install --editable ".[dev]"\n'
        "  make test\n"
        "  pgjobs package\n"
        "  pgjobs run-local nightly_totals -- --source orders/ --day 2026-11-20 --database-url postgresql://..."
    )
