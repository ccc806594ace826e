"""What the PostgreSQL of the tests was built with: the one from a wheel lacks some of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.session import Session
from servermgr import binaries


def build_has_tls(data: Path) -> bool:
    """Whether the server's build knows TLS; the one in the wheel does not.

    Args:
        data: An initialised data directory, which the server's program wants to be told of.
    """
    command = [str(binaries.find().bin / "postgres"), "-C", "ssl_library", "-D", str(data)]
    return bool(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def server_has_xml(session: Session) -> bool:
    """Whether the server was built with libxml."""
    try:
        session.run("SELECT '<a/>'::xml")
    except DatabaseError:
        return False
    return True
