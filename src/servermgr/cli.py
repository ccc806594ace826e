"""The command line of servermgr.postgres: its flags and its error messages."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_PORT = 15432  # not 5432, which the system's own server may use
_DEFAULT_DATADIR = "/var/tmp/pg_data"  # noqa: S108 - initdb and the server refuse a directory of somebody else's


def default_datadir(environ: Mapping[str, str] | None = None) -> str:
    """Return the data directory that is used if none is named: POSTGRES_DATA, else /var/tmp/pg_data."""
    return (os.environ if environ is None else environ).get("POSTGRES_DATA") or _DEFAULT_DATADIR


def parse(arguments: Sequence[str] | None, default_version: str | None) -> argparse.Namespace:
    """Parse the flags, by default those of the process. If they are wrong, the process exits with status 2."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m servermgr.postgres",
        description="Run a PostgreSQL server in the foreground, for development. Ctrl-C stops it.",
        epilog="example: python -m servermgr.postgres -d /var/tmp/try",
    )
    add = parser.add_argument
    add("-H", "--host", default="127.0.0.1", help="interface to listen on (%(default)s)")
    add("-p", "--port", type=int, default=DEFAULT_PORT, help="port, 0 for a free one (%(default)s)")
    add("-d", "--datadir", default=default_datadir(), help="data directory (%(default)s, or POSTGRES_DATA)")
    add(
        *("-i", "--init"),
        nargs="?",
        type=_truth,
        const=True,
        default=True,
        metavar="True|False",
        help="initialize the data directory if there is none (%(default)s)",
    )
    add("-v", "--version", default="", help=f"version of PostgreSQL ({default_version or 'none found'})")
    return parser.parse_args(arguments)


def _truth(text: str) -> bool:
    """Parse True or False, for argparse."""
    if text.lower() not in {"true", "false"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return text.lower() == "true"


def fail(message: str) -> int:
    """Write an error to stderr, in one line. Returns the exit status."""
    print("servermgr.postgres:", " | ".join(message.splitlines()), file=sys.stderr)  # noqa: T201 - for a person
    return 1
