"""Runs uv, which the lock file installs in this environment."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Sequence

from pgjobs.errors import DeployError


def run_uv(arguments: Sequence[str], problem: str) -> None:
    """Run uv.

    Args:
        arguments: The arguments after the program's name.
        problem: What a failure of uv means, as the beginning of the message.

    Raises:
        DeployError: uv failed. The message contains its last lines.
    """
    program = shutil.which("uv", path=sysconfig.get_path("scripts"))  # bin, or Scripts on Windows
    if program is None:
        raise DeployError(f"There is no uv in {sysconfig.get_path('scripts')}: run make setup, or scripts/setup.py.")
    completed = subprocess.run([program, *arguments], capture_output=True, encoding="utf-8", check=False)
    if completed.returncode:
        raise DeployError(f"{problem}:\n{completed.stderr.strip()}")
