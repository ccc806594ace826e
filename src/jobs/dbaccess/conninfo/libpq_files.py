"""libpq's two files: the service file (named sets of parameters) and the password file."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from jobs.dbaccess.conninfo.settings import Login
from jobs.dbaccess.errors import UsageError

logger = logging.getLogger(__name__)

_FIELD = r"((?:[^:\\]|\\.|\\$)*)"
_PASSWORD_LINE = re.compile(rf"{_FIELD}:{_FIELD}:{_FIELD}:{_FIELD}:{_FIELD}(?::.*)?", re.DOTALL)


def service_files(environ: Mapping[str, str]) -> list[Path]:
    """Return where libpq looks for a service: PGSERVICEFILE or ~/.pg_service.conf, then PGSYSCONFDIR."""
    first = environ.get("PGSERVICEFILE") or _home(environ, ".pg_service.conf")
    system = environ.get("PGSYSCONFDIR")
    return [Path(path) for path in (first, f"{system}/pg_service.conf" if system else "") if path]


def find_service(name: str, files: Iterable[Path]) -> tuple[dict[str, str], Path]:
    """Return the parameters of a service from the first file that contains it, and that file.

    Raises:
        UsageError: No file contains it, or one cannot be read.
    """
    looked_at = []
    for path in files:
        looked_at.append(str(path))
        if path.is_file():
            stated = read_service(read(path), name, str(path))
            if stated is not None:
                return stated, path
    raise UsageError(
        f"There is no service {name!r}: looked in {', '.join(looked_at) or 'no file'}.",
        "Name one that a file has, or set PGSERVICEFILE.",
    )


def read_service(text: str, name: str, origin: str) -> dict[str, str] | None:
    """Return the parameters in the section of a name, or None if there is no such section. The first one counts.

    https://www.postgresql.org/docs/current/libpq-pgservice.html
    """
    stated: dict[str, str] | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if stated is not None:
                return stated
            stated = {} if line == f"[{name}]" else None
        elif stated is not None:
            key, equals, value = line.partition("=")
            if not equals or not key or key == "service":
                raise UsageError(f"{origin}, line {number}, is not of the form name=value.", "Correct it.")
            stated.setdefault(key, value)
    return stated


def password_file(environ: Mapping[str, str]) -> str:
    """Return where libpq looks for passwords if no passfile is given: ~/.pgpass."""
    return _home(environ, ".pgpass")


def read_password_file(path: Path) -> str:
    """Return the file's text. A file that libpq would not use (not plain, or open to others) gives an empty text."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if not stat.S_ISREG(mode):
        logger.warning("The password file %s is not used: it is not a plain file.", path)
        return ""
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        logger.warning("The password file %s is not used: others may read it. Run: chmod 600 %s", path, path)
        return ""
    return read(path)


def check_key_permissions(path: Path) -> None:
    """Refuse, as libpq does, a private key that others than its owner can read (for root: than its group).

    https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-CLIENTCERT
    """
    try:
        status = path.stat()
    except OSError:
        return  # reading it shows why
    allowed = stat.S_IRWXU | (stat.S_IRGRP if status.st_uid == 0 else 0)
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & ~allowed:
        raise UsageError(f"The private key {path} is accessible to others.", f"Run: chmod 600 {path}")


def find_password(text: str, login: Login) -> str | None:
    """Return the password of the first line that matches `host:port:dbname:user:password`, or None.

    A `*` matches anything, a backslash escapes, and the directory of a socket counts as localhost.
    https://www.postgresql.org/docs/current/libpq-pgpass.html
    """
    host = "localhost" if login.host.startswith("/") else login.host
    wanted = (host, str(login.port), login.dbname, login.user)
    for line in text.split("\n"):
        fields = _PASSWORD_LINE.fullmatch(line.rstrip("\r"))
        if fields is None or line.startswith("#"):
            continue
        *patterns, password = fields.groups()
        if all(pattern == "*" or _unescaped(pattern) == value for pattern, value in zip(patterns, wanted)):
            return _unescaped(password)
    return None


def _unescaped(field: str) -> str:
    return re.sub(r"\\(.)", r"\1", field, flags=re.DOTALL)


def _home(environ: Mapping[str, str], name: str) -> str:
    home = environ.get("HOME")
    return f"{home}/{name}" if home else ""


def shown(path: Path, environ: Mapping[str, str]) -> str:
    """Return a path for display, with ~ for the home directory."""
    home = environ.get("HOME")
    return f"~/{path.relative_to(home)}" if home and Path(home) in path.parents else str(path)


def read(path: Path) -> str:
    """Return a file's text.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"The file {path} cannot be read: {reason}.", "Correct it, or leave it out.") from None
