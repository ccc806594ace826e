"""Which wheel each packed package came from: its file name and SHA-256, as in a lock file of PEP 751.

uv installs from requirements files, which allow several files for a package, and does not report which one it used. It
lists the wheels that fit the target in a pylock.toml; among these, it is the one with the tags of the installed
package.

https://packaging.python.org/en/latest/specifications/pylock-toml/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pgjobs.archive.packages.uv import run_uv
from pgjobs.archive.target import BuildTarget
from pgjobs.toml import read_toml


@dataclass(frozen=True)
class Wheel:
    """A wheel that fits the target.

    Attributes:
        package: The normalized name of the package.
        file: The file name, six-1.17.0-py2.py3-none-any.whl.
    """

    package: str
    version: str
    file: str
    sha256: str

    @property
    def tags(self) -> frozenset[str]:
        """Return all tags that the file name stands for: py2-none-any and py3-none-any."""
        parts = self.file.removesuffix(".whl").split("-")[-3:]
        return frozenset("-".join(tag) for tag in product(*(part.split(".") for part in parts)))


def suitable(requirements: Sequence[Path], target: BuildTarget, scratch: Path) -> list[Wheel]:
    """Return the wheels for the target that requirements files pin.

    Raises:
        DeployError: They cannot be determined.
    """
    lock = scratch / "pylock.toml"
    run_uv(
        [
            *("pip", "compile", "--quiet", "--format", "pylock.toml", "--no-deps", "--no-header"),
            *("--python-version", target.version, "--python-platform", target.platform, "--only-binary", ":all:"),
            *("--output-file", str(lock), *map(str, requirements)),
        ],
        "The wheels of the packages cannot be determined",
    )
    return read(read_toml(lock.read_text(encoding="utf-8")))


def read(lock: Mapping[str, object]) -> list[Wheel]:
    """Return the wheels in a pylock.toml, both from an index and local ones."""
    packages = lock.get("packages")
    return [
        Wheel(normalized(package["name"]), package["version"], _file(entry), entry["hashes"]["sha256"])
        for package in (packages if isinstance(packages, list) else [])
        for entry in [*package.get("wheels", []), *([package["archive"]] if "archive" in package else [])]
        if "sha256" in entry.get("hashes", {})
    ]


def _file(entry: Mapping[str, str]) -> str:
    """Return the file name from its entry, which is a name, a URL, or a path."""
    return entry.get("name") or PurePosixPath(unquote(urlsplit(entry.get("url") or entry["path"]).path)).name


def origin(package: str, version: str, wheel_file: str, among: Iterable[Wheel]) -> Wheel | None:
    """Return the wheel from which a package was installed.

    Args:
        package: Its name, as in its metadata.
        version: Its version, as in its metadata.
        wheel_file: The text of its WHEEL file, which contains its tags.
        among: The wheels that fit the target.

    Returns:
        None if no wheel matches, or several do.
    """
    tags = frozenset(re.findall(r"^Tag:\s*(\S+)", wheel_file, re.MULTILINE))
    matching = [wheel for wheel in among if (wheel.package, wheel.version) == (normalized(package), version)]
    fitting = [wheel for wheel in matching if wheel.tags == tags] or matching
    return fitting[0] if len({wheel.sha256 for wheel in fitting}) == 1 else None


def normalized(package: str) -> str:
    """Return a package's normalized name.

    https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", package).lower()


def hashes(lock: str) -> dict[str, frozenset[str]]:
    """Return the hashes that a requirements file allows, by normalized name and version: six==1.17.0."""
    pinned = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    return {
        f"{normalized(named[1])}=={named[2]}": frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", requirement))
        for requirement in pinned
        if (named := re.match(r"([\w.-]+)==([^\s;\\]+)", requirement))
    }
