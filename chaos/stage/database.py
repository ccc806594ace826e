"""A trial's database, as psql reaches it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.errors import ChaosError
from servermgr.postgres import Manager

LOADER = "loader"
"""The role of the jobs. It is no superuser, so that its settings and limits apply."""


@dataclass(frozen=True)
class Database:
    """A trial's database, as psql reaches it: without the proxy."""

    server: Manager
    name: str
    psql: Path

    def run(self, *statements: str) -> str:
        """Run statements as the superuser, each in a transaction of its own. Return their output."""
        command = [str(self.psql), "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1"]
        for statement in statements:
            command += ["-c", statement]
        command.append(f"{self.server.url(self.name)}?options=-c%20timezone%3DUTC%20-c%20datestyle%3DISO")
        completed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if completed.returncode:
            raise ChaosError(f"psql: {completed.stderr.strip()}")
        return completed.stdout

    def shown(self) -> list[tuple[str, str]]:
        """Return what anybody, or any reader of these tables, can currently see of the jobs."""
        shown = [("pg_stat_activity", self.run("SELECT application_name, query FROM pg_stat_activity"))]
        kept = "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relname ~ '^pgjobs_|^table_updates$'"
        for table in self.run(kept).split():
            with contextlib.suppress(ChaosError):  # it is locked, or no longer exists
                shown.append((table, self.run("SET lock_timeout = '50ms'", f"SELECT t FROM {table} AS t")))
        return shown

    def as_json(self, query: str) -> list[list[Any]]:
        """Return the rows of a query with one column of JSON."""
        return [json.loads(line) for line in self.run(query).split("\n") if line]

    def start_in_background(self, statements: str) -> subprocess.Popen[bytes]:
        """Run statements in a session in the background."""
        command = [str(self.psql), "--no-psqlrc", "-q", "-c", statements, self.server.url(self.name)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
