"""pgjobs as somebody has it who installed the wheel: without the clone, and without Spark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[2]


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this clone, from a copy: setuptools leaves files beside what it builds."""
    source = folder / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True)
    [wheel] = folder.glob("pgjobs-*.whl")
    return wheel


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


def install_beside_this(wheel: Path, folder: Path) -> Laptop:
    """Install the wheel into a new environment that sees the packages of this one, Spark among them, but not the clone.

    A folder that a .pth names is searched. The .pth files in it, such as that of an editable installation, are not.
    """
    uv = [find_uv_bin(), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "--python", python, "--no-deps", str(wheel)], check=True)
    [site] = folder.glob("lib/python3*/site-packages")
    (site / "packages-of-this-one.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return Laptop(folder)


def install(wheel: Path, folder: Path, extra: str) -> Laptop:
    """Install the wheel with an extra into a new environment."""
    uv = [find_uv_bin(), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "--python", python, f"pgjobs[{extra}] @ {wheel.as_uri()}"], check=True)
    return Laptop(folder)
