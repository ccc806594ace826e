"""The PostgreSQL under test: its roles and databases, and ways to break it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from chaos.errors import ChaosError
from chaos.stage import passwords
from chaos.stage.clock import ServerClock
from chaos.stage.database import LOADER, Database
from servermgr import binaries, stepdown
from servermgr.postgres import Manager

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": 40,
    "autovacuum": "off",
    "deadlock_timeout": "200ms",
    "client_connection_check_interval": "1s",
    "log_statement": "all",
}

_FULL = 1 << 20
"""The maximum bytes of a file while the disk is full."""


class PostgresUnderTrial:
    """A server for the trials.

    Args:
        manager: The running server.
        clock: Its clock.
    """

    def __init__(self, manager: Manager, clock: ServerClock) -> None:
        self.manager = manager
        self.clock = clock
        self.password = passwords.plant()
        self._restarting = threading.Lock()
        self.psql = binaries.find().bin / "psql"
        verifier = passwords.verifier(self.password)
        Database(manager, "postgres", self.psql).run(f"CREATE ROLE {LOADER} LOGIN PASSWORD '{verifier}'")

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator[Database]:
        """Provide a database of the jobs' role, which is dropped afterwards."""
        self.reset_role()
        admin = Database(self.manager, "postgres", self.psql)
        admin.run(f"CREATE DATABASE {name} OWNER {LOADER}")
        try:
            yield Database(self.manager, name, self.psql)
        finally:
            self.await_restart()
            admin.run(f"DROP DATABASE {name} WITH (FORCE)")

    def reset_role(self) -> None:
        """Reset the jobs' role to its original settings."""
        admin = Database(self.manager, "postgres", self.psql)
        admin.run(f"ALTER ROLE {LOADER} RESET ALL", f"ALTER ROLE {LOADER} CONNECTION LIMIT -1")

    def restart(self) -> None:
        """Stop the server as in a crash, and start it again on the same port."""
        with self._restarting:
            process = self.manager.process
            assert process is not None  # noqa: S101 - it was started
            process.send_signal(signal.SIGQUIT)
            self.manager.wait()
            self._keep_log()
            with self.clock.for_children():
                self.manager.start(timeout=60.0)

    def await_restart(self) -> None:
        """Wait for the end of a restart that has begun."""
        with self._restarting:
            pass

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """Make all writes beyond the first bytes of a file fail, in every process of the server.

        If this affects WAL, the server stops, possibly for good. Then it is started again.
        """
        self._limit(str(_FULL))
        try:
            yield
        finally:
            self._limit("unlimited")
            with self._restarting:
                process = self.manager.process
                if process is None or process.poll() is not None:
                    self._keep_log()
                    with self.clock.for_children():
                        self.manager.start(timeout=60.0)
                self.manager.ready_wait(60.0)

    def _limit(self, size: str) -> None:
        """Set the limit from a process of the server's user, since only that user may change it."""
        process = self.manager.process
        if process is None or process.poll() is not None:
            return
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        account = stepdown.account_to_use(os.geteuid())
        for pid in family:
            status, output = stepdown.run(
                ["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"], account, {"PATH": os.defpath}
            )
            if status and psutil.pid_exists(pid):
                raise ChaosError(f"prlimit: {output}")

    def _keep_log(self) -> None:
        log = self.manager.log_path  # the next start begins a new log
        log.rename(log.with_name(f"{time.monotonic_ns()}.log"))


def _ask_for_passwords(rules: Path) -> None:
    rules.write_text(f"host all {LOADER} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")


@contextlib.contextmanager
def server() -> Iterator[PostgresUnderTrial]:
    """Run a PostgreSQL for the trials."""
    # Not below the clone, which other users may not be able to enter: as root, the server runs as another user.
    directory = tempfile.mkdtemp(prefix="pgjobs-chaos-")
    Path(directory).chmod(0o755)
    try:
        clock = ServerClock(Path(directory) / "clock")
        with clock.for_children():
            manager = Manager("127.0.0.1", 0, f"{directory}/data", initialize=True, settings=SETTINGS)
            _ask_for_passwords(manager.db_dir / "pg_hba.conf")
            manager.start(timeout=60.0)
        try:
            yield PostgresUnderTrial(manager, clock)
        finally:
            manager.stop()
    finally:
        shutil.rmtree(directory)
