"""Runs uv, which this environment has by its lock file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pgjobs.errors import DeployError


def run_uv(arguments: Sequence[str], problem: str) -> None:
    """Run uv.

    Args:
        arguments: after the program's name.
        problem: what it means when uv fails, for a person.

    Raises:
        DeployError: it failed; with its own last lines.
    """
    program = Path(sys.prefix, "bin", "uv")
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeployError(f"{problem}:\n{done.stderr.strip()}")
