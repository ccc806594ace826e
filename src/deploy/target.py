"""What an archive is made for: an interpreter, an architecture, a C library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.errors import DeployError
from deploy.releases import ARCHITECTURES, find_release

# Architecture as EMR names it -> as wheels and ELF files name it.
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Target:
    """Where the archive is to run.

    Attributes:
        interpreter: the path of the Python on the image, to which bin/python leads.
        version: its minor version, "3.11".
        architecture: one of ARCHITECTURES.
    """

    release: str
    interpreter: str
    version: str
    architecture: str
    glibc: tuple[int, int]

    @property
    def machine(self) -> str:
        """The processor, as wheels and ELF files name it."""
        return MACHINES[self.architecture]

    @property
    def platform(self) -> str:
        """The platform tag of the newest wheels that run there."""
        return f"{self.machine}-manylinux_{self.glibc[0]}_{self.glibc[1]}"


def target_for(release: str, architecture: str, python: str | None = None) -> Target:
    """Settle what to build for.

    Args:
        release: a label.
        architecture: "x86_64" or "arm64".
        python: another interpreter of the image, such as /usr/bin/python3.11.

    Raises:
        DeployError: one of these cannot be right.
    """
    found = find_release(release)
    if architecture not in ARCHITECTURES:
        raise DeployError(f"There is no architecture {architecture!r}: give {' or '.join(ARCHITECTURES)}.")
    interpreter = python or found.python
    version = re.search(r"python(3\.\d+)$", interpreter)
    if version is None or not interpreter.startswith("/"):
        raise DeployError(f"{interpreter!r} does not tell its version: give a path such as /usr/bin/python3.11.")
    return Target(found.label, interpreter, version[1], architecture, found.glibc)
