"""Where a job works: the proxy's port, its database, and a folder for files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.stage.database import LOADER


@dataclass(frozen=True)
class Place:
    """Where a job works.

    Attributes:
        port: The port of the proxy.
        database: The name of the database.
        folder: The folder for files.
    """

    port: int
    database: str
    folder: Path

    @property
    def source(self) -> Path:
        """Return the folder of a load's input."""
        return self.folder / "source"

    @property
    def lake(self) -> Path:
        """Return the folder of an extract's output."""
        return self.folder / "lake"

    def flags(self) -> list[str]:
        """Return the connection as flags of a command line."""
        flags = ["--host", "127.0.0.1", "--port", str(self.port), "--dbname", self.database, "--user", LOADER]
        return [*flags, "--sslmode", "disable", "--connect-deadline", "15"]

    def address(self) -> dict[str, Any]:
        """Return the connection as arguments of `connection`."""
        where = {"host": "127.0.0.1", "port": self.port, "dbname": self.database, "user": LOADER}
        return {"connection": {**where, "sslmode": "disable", "connect_deadline": 15}}

    def options(self) -> dict[str, str]:
        """Return the connection as options of `pgcopy`."""
        where = {"host": "127.0.0.1", "port": str(self.port), "dbname": self.database, "user": LOADER}
        return {**where, "sslmode": "disable", "connectDeadline": "15"}
