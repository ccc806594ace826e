"""PostgreSQL's JDBC driver, as Debian packages it. This project itself does not need it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from setup_system import SetupError, apt_install, may_apt, step

PACKAGE = "libpostgresql-jdbc-java"
JAR = Path("/usr/share/java/postgresql.jar")  # the package installs it here


def find_jar() -> Path | None:
    """Return the driver's jar, installing it if apt-get may be used; None if it is not available."""
    before = None if JAR.exists() else may_apt()
    if before is not None:
        with contextlib.suppress(SetupError), step(f"{PACKAGE} by apt-get"):
            apt_install(before, [PACKAGE])
    return JAR if JAR.exists() else None
