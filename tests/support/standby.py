"""A primary and its standby."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server_folder import server_folder, serving
from slow_line import Line

from servermgr import address, binaries, stepdown
from servermgr.postgres import Manager

REPLICATION = {"fsync": "off", "wal_level": "replica", "max_wal_senders": 4}


@contextmanager
def replicated(line: Line | None = None) -> Iterator[tuple[Manager, Manager]]:
    """A primary and its standby, which gets the WAL on a line."""
    with (
        server_folder(0o777) as directory,
        serving(Manager("127.0.0.1", 0, directory / "primary", initialize=True, settings=REPLICATION)) as primary,
        (line or Line()).to((primary.host, primary.port)) as port,
    ):
        back_up(primary, directory / "standby")
        # Said here: what pg_basebackup -R writes, a server that is older than pg_basebackup does not understand.
        follows = {"primary_conninfo": address.url(primary.user, "127.0.0.1", port, "postgres")}
        with serving(Manager("127.0.0.1", 0, directory / "standby", settings={**REPLICATION, **follows})) as standby:
            yield primary, standby


def back_up(primary: Manager, target: Path) -> None:
    """Copy a running primary, ready to start as its standby."""
    account = stepdown.account_to_use(os.geteuid())
    found = binaries.find()
    programs = stepdown.within_reach(found, account) if account else found
    source = address.url(primary.user, primary.host, primary.port, "postgres")
    command = [str(programs.bin / "pg_basebackup"), "-d", source, "-D", str(target), "-R", "-c", "fast", "--no-sync"]
    status, output = stepdown.run(command, account, binaries.environment(programs))
    assert status == 0, output
