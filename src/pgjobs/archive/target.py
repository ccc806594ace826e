"""What an archive is built for: an interpreter, an architecture, a C library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pgjobs.archive.releases import ARCHITECTURES, find_release
from pgjobs.errors import DeployError

# Architecture in EMR's terms -> in those of wheels and ELF files.
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class BuildTarget:
    """What an archive is built for.

    Attributes:
        interpreter: The path of the Python on the image, to which bin/python links. If the archive contains an
            interpreter, its path in the archive.
        version: Its minor version, "3.11".
        architecture: One of ARCHITECTURES.
        carried: Whether the archive contains the interpreter.
    """

    release: str
    interpreter: str
    version: str
    architecture: str
    glibc: tuple[int, int]
    carried: bool = False

    @property
    def machine(self) -> str:
        """Return the processor in the terms of wheels and ELF files."""
        return MACHINES[self.architecture]

    @property
    def platform(self) -> str:
        """Return the platform tag of the newest wheels that run there."""
        return f"{self.machine}-manylinux_{self.glibc[0]}_{self.glibc[1]}"

    @property
    def doubt(self) -> str:
        """Return what to tell if the release's own image is not known to have the interpreter; otherwise nothing."""
        pythons = find_release(self.release).pythons
        if self.carried or self.version in pythons:
            return ""
        return (
            f"The image of {self.release} has Python {' and '.join(pythons)}, and not {self.version}: the archive runs "
            "only in a custom image that has it. Otherwise pack without --python, or with --self-contained."
        )

    def summary(self) -> dict[str, str]:
        """Return what the archive is built for, for the job that runs from it."""
        spark = find_release(self.release).spark
        return {"release": self.release, "architecture": self.architecture, "python": self.version, "spark": spark}


def target_for(release: str, architecture: str, python: str | None = None, *, carried: bool = False) -> BuildTarget:
    """Determine what to build for.

    Args:
        release: A release label.
        architecture: "x86_64" or "arm64".
        python: Another interpreter of the image, such as /usr/bin/python3.11; for an included one the version, "3.12".
        carried: Whether the archive contains the interpreter.

    Raises:
        DeployError: One of these is wrong.
    """
    known_release = find_release(release)
    if architecture not in ARCHITECTURES:
        raise DeployError(f"There is no architecture {architecture!r}: give {' or '.join(ARCHITECTURES)}.")
    if carried:
        minor = python or known_release.pythons[0]
        if not re.fullmatch(r"3\.\d+", minor):
            raise DeployError(f"{python!r} is not a minor version: to include an interpreter, give 3.12, for example.")
        return BuildTarget(
            known_release.label, f"bin/python{minor}", minor, architecture, known_release.glibc, carried=True
        )
    interpreter = python or known_release.python
    version = re.search(r"python(3\.\d+)$", interpreter)
    if version is None or not interpreter.startswith("/"):
        raise DeployError(
            f"{interpreter!r} is not the path of an interpreter with its version: give one such as /usr/bin/python3.11."
        )
    return BuildTarget(known_release.label, interpreter, version[1], architecture, known_release.glibc)
