"""Management of a PostgreSQL server: initialize a data directory, run a server on it, and stop the server.

    with Manager("127.0.0.1", 0, "/var/tmp/try", initialize=True) as server:
        print(server.url())

To run a server in the foreground: `python -m servermgr.postgres -d /var/tmp/try`.

Environment variables: POSTGRES_VERSION is the default version. POSTGRES_BIN is a program directory to use instead of
those that the system and Python packages have installed. POSTGRES_DATA is the data directory of that command, if it
names none.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from servermgr import address, binaries, cli, datadir, leftovers, processes, stepdown
from servermgr.errors import DatabaseException, WorkerError
from servermgr.programs import Programs
from servermgr.server import LOG_FILE, Server

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

__all__ = ["DatabaseException", "Manager", "WorkerError", "main"]

_POLL = 0.05  # seconds between two checks whether the server is ready
_PORT_ATTEMPTS = 5  # another process may take a free port between its choice and its use
_PORT_TAKEN = "Address already in use"

_log = logging.getLogger(__name__)


class Manager:
    """A PostgreSQL server: with a superuser without a password, reachable by TCP from this machine.

    As a context manager, it starts and stops the server. Otherwise `stop()` stops it, at the latest when the
    interpreter exits. If this process is killed, a guardian process stops it.

    Args:
        host: The interface to listen on.
        port: The port to listen on; 0 for a free one, which `port` contains after the start.
        db_dir: The data directory.
        initialize: Initialize the data directory if it does not exist or is empty.
        pg_version: The version of PostgreSQL to run, `15`. The default is POSTGRES_VERSION in the environment, then the
            highest version that the system has installed, then that of a Python wheel. The attribute contains the
            version that was chosen.
        process_name: A name of the server, which `ps` shows for its child processes: its cluster_name.
        settings: Server settings in addition to those of the data directory, `{"fsync": "off", "max_connections": 50}`.
        auth: The authentication method of a directory that is initialized here, as in initdb's `--auth`.
        user: The name of the superuser of a directory that is initialized here.
        password: The password of the superuser. Every `auth` but `trust` requires one.
        kwargs: Further server settings, by name: `max_connections=50`.

    Raises:
        DatabaseException: There is no PostgreSQL to run, or the data directory cannot be initialized.
    """

    def __init__(
        self,
        host: str,
        port: int,
        db_dir: str | os.PathLike[str],
        initialize: bool = False,
        pg_version: str = "",
        *,
        process_name: str = "",
        settings: Mapping[str, object] | None = None,
        auth: str = "trust",
        user: str = "postgres",
        password: str = "",
        **kwargs: object,
    ) -> None:
        self.host = host
        self.port = port
        self.db_dir = Path(db_dir).resolve()
        self.user = user
        self.process_name = process_name
        self.settings = {**({"cluster_name": process_name} if process_name else {}), **(settings or {}), **kwargs}
        self._chooses_port = port == 0
        self._programs = Programs.choose(pg_version)
        self.pg_version = self._programs.version
        self._server: Server | None = None
        if initialize and datadir.is_absent_or_empty(self.db_dir):
            self._programs.initialize(self.db_dir, auth=auth, user=user, password=password)

    def __enter__(self) -> Manager:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server process, running or ended; None before the first start."""
        return self._server.process if self._server else None

    @property
    def log_path(self) -> Path:
        """The path of the server's log. Each start begins a new log."""
        return self.db_dir / LOG_FILE

    def url(self, dbname: str = "postgres") -> str:
        """Return the URL for clients on this machine: `postgresql://postgres@127.0.0.1:15432/postgres`."""
        return address.url(self.user, self.host, self.port, dbname)

    def start(self, wait: bool = True, timeout: float = 10.0) -> None:
        """Start PostgreSQL, after removing what an earlier server left in the data directory.

        Args:
            wait: Wait until the server is ready. Only then is another port chosen if another process takes the chosen
                one.
            timeout: Seconds to wait.

        Raises:
            OSError: PostgreSQL cannot be started.
            DatabaseException: The data directory is missing or cannot be used.
            WorkerError: The server runs already, another process runs it, or it does not become ready.
        """
        for attempt in range(_PORT_ATTEMPTS):
            self._launch()
            if not wait:
                return
            try:
                self.ready_wait(timeout)
            except WorkerError:
                port_was_taken = self._chooses_port and self._server and _PORT_TAKEN in self._server.log()
                if not port_was_taken or attempt == _PORT_ATTEMPTS - 1:
                    raise
                self.port = 0
            except BaseException:
                self.stop()
                raise
            else:
                return

    def ready_wait(self, timeout: float = 10.0, verbose: bool = False) -> None:
        """Wait until the server answers. A server that does not answer in time is stopped.

        Args:
            timeout: Seconds to wait.
            verbose: Log what is waited for, at level INFO.

        Raises:
            WorkerError: There is no server process, it ended, or it is not ready in time. The message contains the last
                lines of its log.
        """
        deadline = time.monotonic() + timeout
        server = self._started()
        while True:
            try:
                return self.health()
            except WorkerError as error:
                if not server.is_running():  # it may have ended after health() looked
                    self.stop()
                    raise self._ended(server) from None
                if time.monotonic() > deadline:
                    self.stop()
                    message = f"PostgreSQL is not ready after {timeout:g} s: {error}"
                    raise WorkerError(server.with_log(message)) from None
                if verbose:
                    _log.info("%s", error)
            time.sleep(_POLL)

    def health(self) -> None:
        """Check that the server runs and accepts connections, whatever its authentication method.

        Raises:
            WorkerError: The server does not accept connections, or there is no server process.
        """
        server = self._started()
        if not server.is_running():
            raise self._ended(server)
        # This comes first: if our server fails to start, another server could answer on the port.
        if not processes.is_listening(server.process.pid, self.db_dir):
            raise WorkerError(f"PostgreSQL does not listen on {self.host}:{self.port} yet")
        self._programs.check_accepts(self.user, self.host, self.port)

    def stop(self, wait: bool = True) -> None:
        """Stop the server by a fast shutdown. Does nothing if no server runs.

        Args:
            wait: Wait until it has stopped.
        """
        if self._server is not None:
            self._server.stop(wait)

    def wait(self) -> int:
        """Wait for the server process to exit. Returns its exit status.

        Raises:
            WorkerError: There is no server process.
        """
        return self._started().wait()

    def _started(self) -> Server:
        if self._server is None:
            raise WorkerError("there is no PostgreSQL process: start() it")
        return self._server

    def _ended(self, server: Server) -> WorkerError:
        status = server.process.returncode
        return WorkerError(server.with_log(f"PostgreSQL on {self.host}:{self.port} ended with status {status}"))

    def _launch(self) -> None:
        if self._server is not None:
            if self._server.is_running():
                raise WorkerError(f"PostgreSQL is running already, with pid {self._server.process.pid}")
            self._server.wait()  # it ended by itself, but its guardian still runs
        if not (self.db_dir / "PG_VERSION").exists():
            way = (
                "initialize it (-i), or name"
                if datadir.is_absent_or_empty(self.db_dir)
                else "it has other files, so name"
            )
            raise DatabaseException(f"{self.db_dir} is no data directory of PostgreSQL: {way} another")
        if self._programs.account:
            datadir.hand_over(self.db_dir, self._programs.account)
        _check_lockdir_permissions(self.db_dir)
        with leftovers.locked(self.db_dir):
            leftovers.clear(self.db_dir)
            self.port = self.port or address.free_port(self.host)
            self._server = self._programs.start(self.db_dir, self.host, self.port, self.settings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server in the foreground until SIGINT or SIGTERM. Returns the exit status.

    0: the server was ready and was stopped by a signal. 1: it did not start, or ended by itself. 130: interrupted
    before it was ready.
    """
    options = cli.parse(arguments, _get_default_postgres_version())
    for request in (signal.SIGINT, signal.SIGTERM):
        signal.signal(request, signal.default_int_handler)
    status = 130
    try:
        with Manager(options.host, options.port, options.datadir, options.init, options.version) as server:
            status = 0
            print(f"PostgreSQL is ready: {server.url()}", flush=True)  # noqa: T201 - a person waits for this line
            ended = server.wait()
        return cli.fail(f"PostgreSQL ended by itself with status {ended}: see {server.log_path}")
    except KeyboardInterrupt:
        return status
    except (DatabaseException, WorkerError, OSError) as error:
        return cli.fail(str(error))


def _get_default_postgres_version(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the default version: POSTGRES_VERSION, else that of the installed one; None if there is none."""
    source = os.environ if environ is None else environ
    with contextlib.suppress(DatabaseException):
        return source.get("POSTGRES_VERSION") or binaries.find(environ=source).version
    return None


def _env_with_postgres_path(pg_version: str) -> dict[str, str]:
    """Return an environment for PostgreSQL's programs, with their directory appended to PATH.

    Raises:
        DatabaseException: This version is not installed.
    """
    return binaries.environment(binaries.find(pg_version))


def _check_lockdir_permissions(directory: str | os.PathLike[str] | None = None) -> None:
    """Check that the server can create its lock file, which is in the data directory.

    Args:
        directory: The data directory; by default that of `main`.

    Raises:
        DatabaseException: The server's user may not write there.
    """
    path = Path(cli.default_datadir() if directory is None else directory).resolve()
    datadir.check_writable(path, stepdown.account_to_use(os.geteuid()))


def _initialize_directory(directory: str | os.PathLike[str], pg_version: str) -> None:
    """Initialize a data directory.

    Args:
        directory: Its name.
        pg_version: The version of PostgreSQL to use; if empty, the default.

    Raises:
        OSError: initdb cannot be executed.
        DatabaseException: initdb failed.
    """
    Programs.choose(pg_version).initialize(Path(directory).resolve(), auth="trust", user="postgres", password="")


if __name__ == "__main__":
    sys.exit(main())
