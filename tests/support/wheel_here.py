"""pgjobs as somebody has it who installed the wheel: without the clone, and without Spark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from once import made_once
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]


def wheel_of_this(factory: pytest.TempPathFactory) -> Path:
    """The wheel of this clone."""
    [wheel] = made_once(factory, "wheel", _build_wheel).glob("pgjobs_spark-*.whl")
    return wheel


def _build_wheel(folder: Path) -> None:
    """Build the wheel from a copy: setuptools leaves files beside what it builds."""
    source = folder / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True)


_KEPT = ("UV_", "PIP_", "SSL_", "HOME", "XDG_", "http", "HTTP", "no_proxy", "NO_PROXY")
"""How this machine reaches a package index, and where uv has what it got from there."""


@dataclass(frozen=True)
class Laptop:
    """An environment of its own."""

    venv: Path

    def run(
        self, words: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, with nothing of this process's variables but these."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
        variables = {**kept, "PATH": f"{self.venv / 'bin'}:/usr/bin:/bin", **(environ or {})}
        command = [str(self.venv / "bin" / words[0]), *words[1:]]  # an absolute path stays as it is
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def install_from_this(wheel: Path, folder: Path, *extras: str) -> Laptop:
    """Install the wheel with extras into a new environment. What these require is linked from this environment.

    So nothing is downloaded, and the environment has what the wheel's metadata declare, and nothing else.
    """
    uv = [find_uv_bin(), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--python", str(python), "--no-deps", str(wheel)], check=True)
    [site] = folder.glob("lib/python3*/site-packages")
    [metadata] = site.glob("pgjobs_spark-*.dist-info")
    for distribution in _required(Distribution.at(metadata), set(extras), {}).values():
        _link(distribution, site, python)
    return Laptop(folder)


def _required(
    distribution: Distribution, extras: Collection[str], found: dict[str, Distribution]
) -> dict[str, Distribution]:
    """Return the installed distributions that one requires, and those that they require, by name."""
    for text in distribution.requires or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in {"", *extras}
        )
        name = canonicalize_name(requirement.name)
        if wanted and name not in found:
            found[name] = Distribution.from_name(name)
            _required(found[name], requirement.extras, found)
    return found


def _link(distribution: Distribution, site: Path, python: Path) -> None:
    """Link a distribution's folders and modules. Programs that this environment's Python runs are run by the other."""
    for file in distribution.files or ():
        if file.parts[-2:-1] == ("bin",) and file.parts[0] == "..":
            _link_program(Path(str(distribution.locate_file(file))).resolve(), python)
        elif file.parts[0] not in {"..", "__pycache__"}:
            link = site / file.parts[0]
            if not link.exists():
                link.symlink_to(str(distribution.locate_file(file.parts[0])))


def _link_program(program: Path, python: Path) -> None:
    """Link a program, or copy it if it names the Python to run it."""
    first, _, rest = program.read_bytes().partition(b"\n")
    target = python.with_name(program.name)
    if first.startswith(b"#!") and b"python" in first:
        target.write_bytes(b"#!" + bytes(python) + b"\n" + rest)
        target.chmod(0o755)
    elif not target.exists():
        target.symlink_to(program)


def install(wheel: Path, folder: Path, extra: str) -> Laptop:
    """Install the wheel with an extra into a new environment."""
    uv = [find_uv_bin(), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "--python", python, f"pgjobs-spark[{extra}] @ {wheel.as_uri()}"], check=True)
    return Laptop(folder)
