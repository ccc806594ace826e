"""PostgreSQL's programs of one version, as this process runs them: as which user, and in which environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servermgr import address, binaries, datadir, stepdown
from servermgr.errors import WorkerError
from servermgr.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from servermgr.stepdown import Account


@dataclass(frozen=True)
class Programs:
    """initdb, postgres and pg_isready of one version.

    Attributes:
        version: Their version, as far as their path shows it.
        directory: Where they are: within the reach of the account.
        account: The user to run them as; None for the user of this process.
        environ: The environment variables to run them with.
    """

    version: str
    directory: Path
    account: Account | None
    environ: Mapping[str, str]

    @classmethod
    def choose(cls, version: str = "") -> Programs:
        """Return the programs of a version, by default of that which `binaries.find` chooses.

        Raises:
            DatabaseException: They were not found, or root cannot run them as another user.
        """
        account = stepdown.account_to_use(os.geteuid())
        found = binaries.find(version)
        reached = stepdown.within_reach(found, account) if account else found
        return cls(found.version, reached.bin, account, binaries.environment(found))

    def initialize(self, data_dir: Path, *, auth: str, user: str, password: str) -> None:
        """Run initdb. Arguments and errors are those of `datadir.initialize`."""
        datadir.initialize(
            data_dir, self.directory, self.account, self.environ, user=user, auth=auth, password=password
        )

    def start(self, data_dir: Path, host: str, port: int, settings: Mapping[str, object]) -> Server:
        """Start postgres on a data directory that no server uses.

        Raises:
            OSError: The server or its guardian cannot be started.
        """
        # No Unix socket: its directory may not exist, its path may be too long, or another server may use its name.
        command = [self._path("postgres"), "-D", str(data_dir), "-k", "", "-h", address.to_listen(host)]
        command += ["-p", str(port), *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))]
        return Server(command, data_dir, self.account, self.environ)

    def check_accepts(self, user: str, host: str, port: int) -> None:
        """Run pg_isready, which needs no password.

        Raises:
            WorkerError: No server there accepts connections.
        """
        command = [self._path("pg_isready"), "-U", user, "-d", "postgres"]
        command += ["-h", address.for_clients(host), "-p", str(port)]
        status, answer = stepdown.run(command, None, self.environ)
        if status != 0:
            raise WorkerError(f"PostgreSQL does not accept connections: {answer}")

    def _path(self, program: str) -> str:
        return str(self.directory / program)
