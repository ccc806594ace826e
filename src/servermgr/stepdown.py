"""Running programs as another user. PostgreSQL refuses to run as root, so root starts it as `postgres` or `nobody`."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Callable

from servermgr.binaries import Installation, version_of
from servermgr.errors import DatabaseException

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Copies of programs that only root can read. In /var/tmp, anybody could create this directory first; here only root
#: can.
CACHE = Path("/var/cache/servermgr")

_ACCOUNTS = ("postgres", "nobody")
_TO_OTHERS = stat.S_IRGRP | stat.S_IROTH
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Prints the first directory that cannot be entered. Trying it respects ACLs, which mode bits do not show.
_ENTER_EACH = 'for d in "$@"; do cd "$d" 2>/dev/null || { printf %s "$d"; exit 1; }; done'


@dataclass(frozen=True)
class Account:
    """A user to run as."""

    name: str
    uid: int
    gid: int


def account_to_use(euid: int, lookup: Callable[[str], pwd.struct_passwd] = pwd.getpwnam) -> Account | None:
    """Return the user as whom PostgreSQL runs if the user `euid` starts it; None for that user itself.

    Raises:
        DatabaseException: Root starts it, on a machine without the users `postgres` and `nobody`.
    """
    if euid != 0:
        return None
    for name in _ACCOUNTS:
        try:
            entry = lookup(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise DatabaseException(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody: "
        "add one (useradd --system postgres)"
    )


def spawn(
    command: Sequence[str],
    account: Account | None,
    environ: Mapping[str, str],
    output: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a program as an account, not affected by the terminal's signals, with stdout and stderr in one stream.

    Raises:
        OSError: The program cannot be started.
    """
    return subprocess.Popen(  # noqa: S603 - a list of arguments, no shell reads it
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environ,
        cwd="/",  # the account may not be allowed to enter the caller's directory
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def run(command: Sequence[str], account: Account | None, environ: Mapping[str, str]) -> tuple[int, str]:
    """Run a program as an account and wait for its end. Returns its exit status and its output.

    Raises:
        OSError: The program cannot be started.
    """
    with spawn(command, account, environ) as process:
        output, _ = process.communicate()
    return process.returncode, output.decode(errors="replace").strip()


def first_blocked(directories: Sequence[Path], account: Account) -> Path | None:
    """Return the first of the directories that an account cannot enter; None if it can enter all."""
    status, blocked = run(["/bin/sh", "-c", _ENTER_EACH, "sh", *map(str, directories)], account, {})
    return Path(blocked) if status else None


def within_reach(installation: Installation, account: Account, cache: Path = CACHE) -> Installation:
    """Return an installation that the account can run: this one, or a copy of it. A copy is made once per version.

    Raises:
        DatabaseException: The cache is not safe to use.
    """
    if not first_blocked([*reversed(installation.bin.parents), installation.bin], account):
        return installation
    prefix = installation.bin.parent
    _make_safe(cache)
    size = (installation.bin / "postgres").stat().st_size  # distinguishes two builds of one release
    entry = cache / f"{prefix.parent.name}-{version_of(installation.bin)}-{size}"
    if not entry.exists():
        _copy(prefix, entry)
    return replace(installation, bin=entry / prefix.parent.name / prefix.name / "bin")


def _make_safe(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    status = cache.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & _WRITABLE_BY_OTHERS:
        raise DatabaseException(f"{cache} must be a directory that only root can write: remove it, or set it right")
    cache.chmod(0o755)  # root's umask may be 077


def _copy(prefix: Path, entry: Path) -> None:
    """Copy a PostgreSQL installation, and the shared libraries that a wheel stores beside its package."""
    package = prefix.parent
    libraries = package.with_name(f"{package.name}.libs")
    work = Path(tempfile.mkdtemp(prefix="copying-", dir=entry.parent))
    try:
        for part in ("bin", "lib", "share"):
            if (prefix / part).is_dir():
                shutil.copytree(prefix / part, work / package.name / prefix.name / part, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, work / libraries.name, symlinks=True)
        for path in [work, *work.rglob("*")]:
            _open_to_others(path)
        try:
            work.rename(entry)  # atomic: the copy is complete or does not exist
        except OSError:
            if not entry.exists():  # another process was faster, and its copy is as good
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _open_to_others(path: Path) -> None:
    if path.is_symlink():
        return
    mode = stat.S_IMODE(path.stat().st_mode) & ~_WRITABLE_BY_OTHERS | _TO_OTHERS
    if mode & stat.S_IXUSR:
        mode |= stat.S_IXGRP | stat.S_IXOTH
    path.chmod(mode)
