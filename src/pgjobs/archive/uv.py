"""Runs uv, which the lock file installs in this environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pgjobs.errors import DeployError


def run_uv(arguments: Sequence[str], problem: str) -> None:
    """Run uv.

    Args:
        arguments: The arguments after the program's name.
        problem: What a failure of uv means, as the beginning of the message.

    Raises:
        DeployError: uv failed. The message contains its last lines.
    """
    program = Path(sys.prefix, "bin", "uv")
    completed = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    if completed.returncode:
        raise DeployError(f"{problem}:\n{completed.stderr.strip()}")
