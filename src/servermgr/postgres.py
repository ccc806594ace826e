"""PostgreSQL process management: initialise a data directory, run a server on it, stop it.

    with Manager("127.0.0.1", 0, "/var/tmp/try", initialize=True) as server:
        print(server.url())

or in the foreground: `python -m servermgr.postgres -d /var/tmp/try -i`.

Environment variables: POSTGRES_VERSION is the version to run where none is named; POSTGRES_BIN the directory of the
programs to run, instead of those that the system and Python have installed.
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
from servermgr.server import LOG_FILE, Server

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from types import TracebackType

__all__ = ["DatabaseException", "Manager", "WorkerError", "main"]

_POLL = 0.05  # seconds between two questions whether the server is ready
_PORT_ATTEMPTS = 5  # a free port may be taken between its choice and its use
_PORT_TAKEN = "Address already in use"

_log = logging.getLogger(__name__)


class Manager:
    """A PostgreSQL server of one's own: superuser without password, reachable by TCP from this machine.

    As a context manager it starts and stops the server. Otherwise `stop()` stops it, at the latest when the
    interpreter exits; and when this process is killed, a guardian process does.

    Args:
        host: The interface to listen on.
        port: The port to listen on; 0 for a free one, which `port` tells after the start.
        db_dir: The database data directory.
        initialize: Initialise the data directory if it does not exist, or is empty.
        pg_version: The version of PostgreSQL to run, `15`; by default POSTGRES_VERSION in the environment,
            then the highest that the system has installed, then the one in a Python wheel.
        settings: Server settings beyond the data directory's own, `{"fsync": "off", "max_connections": 50}`.
        auth: How clients prove who they are, in a directory initialised here: initdb's `--auth`.
        user: The superuser's name, in a directory initialised here.
        password: The superuser's password, which every `auth` but `trust` needs.

    Raises:
        DatabaseException: There is no PostgreSQL to run, or the data directory cannot be initialised.
    """

    def __init__(
        self,
        host: str,
        port: int,
        db_dir: str | os.PathLike[str],
        initialize: bool = False,
        pg_version: str = "",
        *,
        settings: Mapping[str, object] | None = None,
        auth: str = "trust",
        user: str = "postgres",
        password: str = "",
    ) -> None:
        self.host = host
        self.port = port
        self.db_dir = Path(db_dir).resolve()
        self.user = user
        self.settings = dict(settings or {})
        self._chooses_port = port == 0
        self._account = stepdown.account_to_use(os.geteuid())
        self._installation = _installation(pg_version, self._account)
        self._environ = _env_with_postgres_path(pg_version)
        self._server: Server | None = None
        if initialize and datadir.is_absent_or_empty(self.db_dir):
            _initialize_directory(self.db_dir, pg_version, auth=auth, user=user, password=password)

    def __enter__(self) -> Manager:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The process of PostgreSQL itself, running or ended; None before the first start."""
        return self._server.process if self._server else None

    @property
    def log_path(self) -> Path:
        """Where the server's log goes, anew with each start."""
        return self.db_dir / LOG_FILE

    def url(self, dbname: str = "postgres") -> str:
        """Return the address for clients on this machine: `postgresql://postgres@127.0.0.1:15432/postgres`."""
        return address.url(self.user, self.host, self.port, dbname)

    def start(self, wait: bool = True, timeout: float = 10.0) -> None:
        """Launch the PostgreSQL process, and clear away what an earlier one left in its data directory.

        Args:
            wait: Wait until it is ready. Only then is a port chosen here chosen again, if another process takes
                it meanwhile.
            timeout: Seconds that waiting may take.

        Raises:
            OSError: PostgreSQL fails to launch.
            DatabaseException: The data directory is missing or cannot be used.
            WorkerError: It is running already, somebody else runs it, or it does not get ready.
        """
        for attempt in range(_PORT_ATTEMPTS):
            self._launch()
            if not wait:
                return
            try:
                self.ready_wait(timeout)
            except WorkerError:
                taken = self._chooses_port and self._server and _PORT_TAKEN in self._server.log()
                if not taken or attempt == _PORT_ATTEMPTS - 1:
                    raise
                self.port = 0
            except BaseException:
                self.stop()
                raise
            else:
                return

    def ready_wait(self, timeout: float = 10.0, verbose: bool = False) -> None:
        """Wait until the server answers. One that does not in time is stopped.

        Args:
            timeout: Seconds to wait.
            verbose: Log what is waited for, at level INFO.

        Raises:
            WorkerError: There is no server process, it ended, or it is not ready in time. The text holds the
                last lines of its log.
        """
        deadline = time.monotonic() + timeout
        server = self._started()
        while True:
            try:
                return self.health()
            except WorkerError as error:
                if not server.is_running():
                    self.stop()
                    raise
                if time.monotonic() > deadline:
                    self.stop()
                    message = f"PostgreSQL is not ready after {timeout:g} s: {error}"
                    raise WorkerError(server.with_log(message)) from None
                if verbose:
                    _log.info("%s", error)
            time.sleep(_POLL)

    def health(self) -> None:
        """Check that the server runs and accepts connections, whatever its authentication.

        Raises:
            WorkerError: It does not, or there is no server process.
        """
        server = self._started()
        if not server.is_running():
            ended = f"PostgreSQL on {self.host}:{self.port} ended with status {server.process.returncode}"
            raise WorkerError(server.with_log(ended))
        # First this: while ours starts in vain, another server on the port would answer.
        if not processes.is_listening(server.process.pid, self.db_dir):
            raise WorkerError(f"PostgreSQL does not listen on {self.host}:{self.port} yet")
        command = [str(self._installation.bin / "pg_isready"), "-U", self.user, "-d", "postgres"]
        command += ["-h", address.for_clients(self.host), "-p", str(self.port)]
        status, answer = stepdown.run(command, None, self._environ)
        if status != 0:
            raise WorkerError(f"PostgreSQL does not accept connections: {answer}")

    def stop(self, wait: bool = True) -> None:
        """Stop the server by a fast shutdown; nothing happens where none runs.

        Args:
            wait: Wait for its end.
        """
        if self._server is not None:
            self._server.stop(wait)

    def wait(self) -> int:
        """Wait for the server process to exit; returns its exit status.

        Raises:
            WorkerError: There is no server process.
        """
        return self._started().wait()

    def _started(self) -> Server:
        if self._server is None:
            raise WorkerError("there is no PostgreSQL process: start() it")
        return self._server

    def _launch(self) -> None:
        if self._server is not None:
            if self._server.is_running():
                raise WorkerError(f"PostgreSQL is running already, with pid {self._server.process.pid}")
            self._server.wait()  # it ended by itself: its guardian is still there
        if not (self.db_dir / "PG_VERSION").exists():
            raise DatabaseException(
                f"{self.db_dir} is no data directory of PostgreSQL: initialize it (-i), or name another"
            )
        if self._account:
            datadir.hand_over(self.db_dir, self._account)
        _check_lockdir_permissions(self.db_dir)
        with leftovers.locked(self.db_dir):
            leftovers.clear(self.db_dir)
            self.port = self.port or address.free_port(self.host)
            self._server = Server(self._command(), self.db_dir, self._account, self._environ)

    def _command(self) -> list[str]:
        # No Unix socket: its directory may be missing, its path too long, its name another server's.
        command = [str(self._installation.bin / "postgres"), "-D", str(self.db_dir), "-k", ""]
        command += ["-h", address.to_listen(self.host), "-p", str(self.port)]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server in the foreground until SIGINT or SIGTERM; returns the exit status.

    0: the server was ready, and stopped on request. 1: it did not start, or ended by itself. 130: interrupted
    before it was ready.
    """
    options = cli.parse(arguments, _get_default_postgres_version())
    for request in (signal.SIGINT, signal.SIGTERM):
        signal.signal(request, signal.default_int_handler)
    status = 130
    try:
        with Manager(options.host, options.port, options.datadir, options.init, options.version) as server:
            status = 0
            print(f"PostgreSQL is ready: {server.url()}", flush=True)  # noqa: T201 - what a person waits for
            ended = server.wait()
        return cli.fail(f"PostgreSQL ended by itself with status {ended}: see {server.log_path}")
    except KeyboardInterrupt:
        return status
    except (DatabaseException, WorkerError, OSError) as error:
        return cli.fail(str(error))


def _get_default_postgres_version(environ: Mapping[str, str] | None = None) -> str | None:
    """Select the default version: POSTGRES_VERSION, else the one that is installed; None where none is."""
    source = os.environ if environ is None else environ
    with contextlib.suppress(DatabaseException):
        return source.get("POSTGRES_VERSION") or binaries.find(environ=source).version
    return None


def _env_with_postgres_path(pg_version: str) -> dict[str, str]:
    """Return a new environment for PostgreSQL's programs, their directory appended to PATH.

    Raises:
        DatabaseException: That version is not installed.
    """
    return binaries.environment(binaries.find(pg_version))


def _check_lockdir_permissions(directory: Path) -> None:
    """Make sure that the server can create its lock file, which lies in the data directory.

    Raises:
        DatabaseException: Its user has no permission to write there.
    """
    datadir.check_writable(directory, stepdown.account_to_use(os.geteuid()))


def _initialize_directory(
    directory: Path, pg_version: str, *, auth: str = "trust", user: str = "postgres", password: str = ""
) -> None:
    """Initialize a data directory.

    Raises:
        OSError: initdb cannot be executed.
        DatabaseException: initdb failed.
    """
    account = stepdown.account_to_use(os.geteuid())
    programs = _installation(pg_version, account).bin
    environ = _env_with_postgres_path(pg_version)
    datadir.initialize(directory, programs, account, environ, user=user, auth=auth, password=password)


def _installation(pg_version: str, account: stepdown.Account | None) -> binaries.Installation:
    found = binaries.find(pg_version)
    return stepdown.within_reach(found, account) if account else found


if __name__ == "__main__":
    sys.exit(main())
