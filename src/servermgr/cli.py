"""The command line of servermgr.postgres: its flags and its error messages."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORT = 15432  # not 5432, which the system's own server may use


def parse(arguments: Sequence[str] | None, default_version: str | None) -> argparse.Namespace:
    """Parse the flags, by default those of the process. If they are wrong, the process exits with status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m servermgr.postgres",
        description="Run a PostgreSQL server in the foreground, for development. Ctrl-C stops it.",
        epilog="example: python -m servermgr.postgres -d /var/tmp/try -i",
    )
    add = parser.add_argument
    add("-H", "--host", default="127.0.0.1", help="interface to listen on (%(default)s)")
    add("-p", "--port", type=int, default=DEFAULT_PORT, help="port, 0 for a free one (%(default)s)")
    add("-d", "--datadir", required=True, help="data directory")
    add("-i", "--init", action="store_true", help="initialize the data directory if there is none")
    add("-v", "--version", default="", help=f"version of PostgreSQL ({default_version or 'none found'})")
    return parser.parse_args(arguments)


def fail(message: str) -> int:
    """Write an error to stderr, in one line. Returns the exit status."""
    print("servermgr.postgres:", " | ".join(message.splitlines()), file=sys.stderr)  # noqa: T201 - for a person
    return 1
