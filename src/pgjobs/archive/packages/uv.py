"""Runs uv, which pgjobs-spark[deploy] and the lock file install in this environment."""

from __future__ import annotations

import re
import subprocess
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
    from uv import find_uv_bin

    completed = subprocess.run([find_uv_bin(), *arguments], capture_output=True, encoding="utf-8", check=False)
    if completed.returncode:
        raise DeployError(f"{problem}:\n{_reasons(completed.stderr)}")


_NOT_NEEDED = {
    "pyspark": "The image has Spark: remove pyspark from the requirements.",
    "pgjobs": "The archive has the jobs of pgjobs by itself: remove pgjobs, and packages that require it.",
}
"""Packages that requirements may name, and the archive must not have -> what to do."""


def _reasons(said: str) -> str:
    """Return uv's message without its hint about building, which is not done here, but with what to do instead."""
    lines = [line for line in said.strip().splitlines() if line and not line.startswith("hint: Wheels are required")]
    if "no usable wheels" in said or "no wheels with a matching" in said:
        lines.append("Only wheels are packed. Where there is none for the target, build one there: --with FILE.whl")
    lines += [advice for name, advice in _NOT_NEEDED.items() if re.search(rf"\b{name}\b", said)]
    return "\n".join(f"  {line}" for line in lines)
