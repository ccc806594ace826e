"""pgjobs as somebody has it who installed the wheel: without the clone, and without Spark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
        command = [str(self.venv / "bin" / words[0]), *words[1:]]
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def install(wheel: Path, folder: Path, extra: str) -> Laptop:
    """Install the wheel with an extra into a new environment."""
    uv = [find_uv_bin(), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "--python", python, f"pgjobs[{extra}] @ {wheel.as_uri()}"], check=True)
    return Laptop(folder)
