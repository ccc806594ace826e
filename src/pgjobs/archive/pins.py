"""Packages beside the jobs' own: found once, pinned by version and hash in a lock file, installed by it from then on.

    requirements/with-3.11.lock     what `--with PACKAGE` has led to, for a Python and newer ones; it is to be committed

A wheel of one's own (`--with dist/mine-1.0-py3-none-any.whl`) is pinned by its content; what it needs is in the lock.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgjobs.archive.target import Target
from pgjobs.archive.uv import run_uv
from pgjobs.errors import DeployError


@dataclass(frozen=True)
class Pins:
    """Requirements files that state a hash for each package.

    Attributes:
        files: to install by.
        lock: where the extras' own is kept.
        fresh: the newly made lock, which is not at its place yet; None where the one that was there is used.
    """

    files: tuple[Path, ...]
    lock: Path
    fresh: Path | None = None

    def locked(self) -> dict[Path, bytes]:
        """The extras' lock, by the place that it is to have, with its content; nothing without extras."""
        return {self.lock: (self.fresh or self.lock).read_bytes()} if self.files else {}

    def keep(self) -> str:
        """Put a fresh lock in its place, once it has proved good; what to tell of it."""
        if self.fresh is None:
            return ""
        shutil.copyfile(self.fresh, self.lock)
        return f"Pinned what --with asks for in {self.lock}: commit it."


def pin(extras: Sequence[str], target: Target, ours: Path, folder: Path, scratch: Path) -> Pins:
    """Pin the extras, unless that was done before.

    Args:
        extras: packages as pip would be told of them, and paths of wheels.
        target: what they are for.
        ours: the lock of the jobs' own packages, which the extras have to fit.
        folder: where locks are kept.
        scratch: a folder for files that are not kept.

    Raises:
        DeployError: they cannot be had, or there is no such wheel.
    """
    lock = folder / f"with-{target.version}.lock"
    if not extras:
        return Pins((), lock)
    wheels = [Path(extra).resolve() for extra in extras if extra.endswith(".whl")]
    files = [_own(wheels, scratch)] if wheels else []
    asked = _command(extras)
    if lock.is_file() and f"#    {asked}\n" in lock.read_text(encoding="utf-8"):
        return Pins((lock, *files), lock)
    fresh, wanted = scratch / lock.name, scratch / "wanted.in"
    if lock.is_file():
        shutil.copyfile(lock, fresh)  # uv keeps what is pinned there already
    names = [extra for extra in extras if not extra.endswith(".whl")]
    wanted.write_text("\n".join([*names, *map(str, wheels)]) + "\n", encoding="utf-8")
    left_out = [word for wheel in wheels for word in ("--no-emit-package", _package(wheel))]
    run_uv(
        [
            *("pip", "compile", "--quiet", "--universal", "--python-version", target.version, "--only-binary", ":all:"),
            *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", asked),
            *("--constraint", str(ours), *left_out, "--output-file", str(fresh), str(wanted)),
        ],
        f"{' '.join(extras)} cannot be had for Python {target.version}",
    )
    # uv tells on whose behalf a package is there: of the asked ones, by the name of our own file.
    fresh.write_text(
        fresh.read_text(encoding="utf-8").replace(f"-r {wanted}", "--with").replace(f"-c {ours}", "-c ours")
    )
    return Pins((fresh, *files), lock, fresh)


def _command(extras: Sequence[str]) -> str:
    """What the lock says it was made by: another one is another lock."""
    words = sorted({Path(extra).name if extra.endswith(".whl") else extra for extra in extras})
    return " ".join(["scripts/package_venv.sh", *(f"--with {shlex.quote(word)}" for word in words)])


def _package(wheel: Path) -> str:
    """The package in a wheel's name: mine-1.0-py3-none-any.whl has mine."""
    return wheel.name.partition("-")[0]


def _own(wheels: Sequence[Path], scratch: Path) -> Path:
    """A requirements file for wheels that are here, each by its content.

    Raises:
        DeployError: one is not.
    """
    missing = [str(wheel) for wheel in wheels if not wheel.is_file()]
    if missing:
        raise DeployError(f"There is no wheel {', '.join(missing)}.")
    file = scratch / "wheels.txt"
    lines = [
        f"{_package(wheel)} @ {wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
        for wheel in wheels
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


_OF_THIS_MACHINE = ("direct_url.json", "uv_cache.json")
"""Where a wheel was, and when: the same wheel elsewhere would give another archive."""


def forget_the_machine(site: Path) -> None:
    """Remove what tells of the machine that installed: places and times of wheels, and what scripts were made of.

    Scripts in bin hold the path of this machine's Python. They are not packed, and their hashes are not told, either.
    """
    for name in (".lock", "bin", "__pycache__"):
        path = site / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for record in site.glob("*.dist-info/RECORD"):
        for name in _OF_THIS_MACHINE:
            record.with_name(name).unlink(missing_ok=True)
        lines = record.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if (site / _file_of(line)).is_file()]
        record.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _file_of(line: str) -> str:
    """The file in a line of RECORD, which is CSV: a name with a comma has quotes around it."""
    quoted = re.match(r'"((?:[^"]|"")*)"', line)
    return quoted[1].replace('""', '"') if quoted else line.partition(",")[0]
