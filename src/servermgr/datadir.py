"""The data directory: initializing it, changing its owner, and creating files in it safely."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from servermgr.errors import DatabaseException
from servermgr.stepdown import Account, first_blocked, run

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_absent_or_empty(data_dir: Path) -> bool:
    """Return whether there is nothing that initdb could destroy."""
    return not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir()))


def initialize(
    data_dir: Path,
    programs: Path,
    account: Account | None,
    environ: Mapping[str, str],
    *,
    user: str,
    auth: str,
    password: str,
) -> None:
    """Run initdb, with UTF8 and the locale C, so that the sort order is the same on every machine.

    Raises:
        OSError: The directory cannot be created, or initdb cannot be started.
        DatabaseException: The directory cannot be used, or initdb failed. The message contains its output.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account:
        hand_over(data_dir, account)
    command = [str(programs / "initdb"), "-D", str(data_dir), "-U", user, f"--auth={auth}"]
    # No sync to disk: a directory that is lost in a power failure in its first second can be created again.
    command += ["--encoding=UTF8", "--locale=C", "--no-sync"]
    # Beside the data directory, where the account can read it. $TMPDIR may be readable by root only.
    with tempfile.NamedTemporaryFile(dir=data_dir.parent if account else None) as secret:
        if password:
            secret.write(f"{password}\n".encode())
            secret.flush()
            if account:
                os.fchown(secret.fileno(), account.uid, account.gid)
            command.append(f"--pwfile={secret.name}")
        status, output = run(command, account, environ)
    if status != 0:
        raise DatabaseException(f"initdb failed on {data_dir} with status {status}:\n{output}")


def check_writable(data_dir: Path, account: Account | None) -> None:
    """Check that the server's user can create its lock file in the data directory.

    If that does not exist, the nearest existing directory above it is checked, in which it would be created.

    Raises:
        DatabaseException: The user cannot write there.
    """
    nearest = next(place for place in (data_dir, *data_dir.parents) if place.exists())
    user = account if nearest == data_dir else None  # root creates it, and hands it over
    if user:
        writable = run(["/bin/sh", "-c", 'test -w "$1"', "sh", str(nearest)], user, {})[0] == 0
    else:
        writable = os.access(nearest, os.W_OK | os.X_OK)
    if not writable:
        name = user.name if user else f"uid {os.geteuid()}"
        raise DatabaseException(f"the user PostgreSQL runs as ({name}) cannot write to {nearest}")


def hand_over(data_dir: Path, account: Account) -> None:
    """Make an account the owner of a data directory that belongs to root. The directory must be empty or PostgreSQL's.

    Raises:
        DatabaseException: The directory belongs to another user, contains something else, or the account cannot enter
            it.
    """
    blocked = first_blocked(list(reversed(data_dir.parents)), account)
    if blocked:
        raise DatabaseException(
            f"the data directory {data_dir} is out of reach: started by root, PostgreSQL runs as the user "
            f"{account.name}, which cannot enter {blocked}. Put the data directory elsewhere (/var/tmp/...), "
            f"or open that one: chmod o+x {blocked}"
        )
    owner = data_dir.stat().st_uid
    if owner not in {0, account.uid}:
        raise DatabaseException(
            f"the data directory {data_dir} belongs to uid {owner}, but started by root PostgreSQL runs as the "
            f"user {account.name}: start it as the directory's owner, or chown -R {account.name} {data_dir}"
        )
    if owner == account.uid:
        return
    contents = list(data_dir.rglob("*"))
    if contents and not (data_dir / "PG_VERSION").exists():
        raise DatabaseException(f"{data_dir} holds something that is not PostgreSQL's: name another data directory")
    # The directory itself comes last. Until then, only root can create a link in it.
    for path in [*contents, data_dir]:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def new_file(path: Path, account: Account | None) -> IO[bytes]:
    """Create a private file in the account's data directory and open it for appending. An existing file is replaced.

    An existing file is never opened, because the account could have left a link to any file of root's.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    if account:
        os.fchown(descriptor, account.uid, account.gid)
    return os.fdopen(descriptor, "ab", buffering=0)
