"""Packages in addition to the jobs' own: resolved once, then pinned by version and hash in a lock file.

    requirements/with-3.11.lock     the result of `--with PACKAGE` for this Python and newer ones; commit it

A wheel of your own (`--with dist/mine-1.0-py3-none-any.whl`) is pinned by its content; its dependencies are in the
lock.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgjobs.archive.packages.uv import run_uv
from pgjobs.archive.target import BuildTarget
from pgjobs.errors import DeployError


@dataclass(frozen=True)
class Pins:
    """Requirements files with a hash for each package.

    Attributes:
        files: The files to install from.
        lock: The path of the extras' lock file.
        fresh: A newly made lock file that is not in its place yet; None if the existing one is used.
    """

    files: tuple[Path, ...]
    lock: Path
    fresh: Path | None = None

    def locked(self) -> dict[Path, bytes]:
        """Return the extras' lock file, by its path, with its content; nothing without extras."""
        return {self.lock: (self.fresh or self.lock).read_bytes()} if self.files else {}

    def keep(self) -> str:
        """Move a fresh lock file to its place, after a successful build. Returns the message to print."""
        if self.fresh is None:
            return ""
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.fresh, self.lock)
        return f"Pinned the packages in {self.lock}: commit this file."


def has_hashes(file: Path) -> bool:
    """Return whether a file of requirements pins them by hash.

    Raises:
        DeployError: It is not text in UTF-8.
    """
    try:
        return "--hash=" in file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DeployError(
            f"{file} is not UTF-8, as a file that PowerShell's > has written: save it as UTF-8."
        ) from None


def pin(
    extras: Sequence[str], target: BuildTarget, ours: Path, folder: Path, scratch: Path, *, files: Sequence[Path] = ()
) -> Pins:
    """Pin the extras, unless they are pinned.

    Args:
        extras: Requirements in pip's notation, and paths of wheels.
        target: What they are for.
        ours: The lock file of the jobs' own packages, with which the extras must agree.
        folder: The folder of the lock files.
        scratch: A folder for temporary files.
        files: Files of requirements without hashes.

    Raises:
        DeployError: A package cannot be resolved, or a wheel does not exist.
    """
    lock = folder / f"with-{target.version}.lock"
    if not extras and not files:
        return Pins((), lock)
    wheels = [Path(extra).resolve() for extra in extras if extra.endswith(".whl")]
    own = [_own(wheels, scratch)] if wheels else []
    command = _command(extras, files)
    if lock.is_file() and f"#    {command}\n" in lock.read_text(encoding="utf-8"):
        return Pins((lock, *own), lock)
    fresh, wanted = scratch / lock.name, scratch / "wanted.in"
    if lock.is_file():
        shutil.copyfile(lock, fresh)  # uv keeps existing pins
    names = [extra for extra in extras if not extra.endswith(".whl")]
    wanted.write_text("\n".join([*names, *map(str, wheels)]) + "\n", encoding="utf-8")
    left_out = [word for wheel in wheels for word in ("--no-emit-package", _package(wheel))]
    run_uv(
        [
            *("pip", "compile", "--quiet", "--universal", "--python-version", target.version, "--only-binary", ":all:"),
            *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", command),
            *("--constraint", str(ours), *left_out, "--output-file", str(fresh), str(wanted), *map(str, files)),
        ],
        f"{' '.join([*extras, *map(str, files)])} cannot be resolved for Python {target.version}, from wheels, beside "
        "what pgjobs pins",
    )
    # uv notes who requires a package. For the requested ones, that is the name of our own file.
    text = fresh.read_text(encoding="utf-8").replace(f"-r {wanted}", "--with").replace(f"-c {ours}", "-c ours")
    for file in files:
        text = text.replace(f"-r {file}", f"-r {file.name}")
    fresh.write_bytes(text.encode())
    return Pins((fresh, *own), lock, fresh)


def _command(extras: Sequence[str], files: Sequence[Path]) -> str:
    """Return the command in the lock's header. With another command, or another file, it is another lock."""
    read = [f"--requirements {file.name} ({hashlib.sha256(file.read_bytes()).hexdigest()[:16]})" for file in files]
    words = sorted({Path(extra).name if extra.endswith(".whl") else extra for extra in extras})
    return " ".join(["pgjobs package", *(f"--with {shlex.quote(word)}" for word in words), *read])


def _package(wheel: Path) -> str:
    """Return the package in a wheel's name: mine for mine-1.0-py3-none-any.whl."""
    return wheel.name.partition("-")[0]


def _own(wheels: Sequence[Path], scratch: Path) -> Path:
    """Return a requirements file for local wheels, each pinned by its content.

    Raises:
        DeployError: A wheel does not exist.
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
"""The files with a wheel's path and time: the same wheel in another folder would give another archive."""


def forget_the_machine(site: Path) -> None:
    """Remove what depends on the machine that installed: paths and times of wheels, and hashes of generated scripts.

    Scripts in bin (on Windows, Scripts) contain the path of this machine's Python. They are not packed, so their hashes
    are removed, too.
    """
    for name in (".lock", "bin", "Scripts", "__pycache__"):
        path = site / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for record in site.glob("*.dist-info/RECORD"):
        for name in _OF_THIS_MACHINE:
            record.with_name(name).unlink(missing_ok=True)
        lines = record.read_text(encoding="utf-8").splitlines()
        remaining = [line for line in lines if (site / _file_of(line)).is_file()]
        record.write_bytes("".join(f"{line}\n" for line in remaining).encode())


def _file_of(line: str) -> str:
    """Return the file in a line of RECORD, which is CSV: a name with a comma is quoted."""
    quoted = re.match(r'"((?:[^"]|"")*)"', line)
    return quoted[1].replace('""', '"') if quoted else line.partition(",")[0]
