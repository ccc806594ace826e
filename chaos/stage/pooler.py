"""PgBouncer between the proxy and the server, if it is installed (apt install pgbouncer)."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chaos.errors import ChaosError
from servermgr import address

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_START = 10.0
"""Seconds within which it must listen."""


@dataclass
class Pooler:
    """A PgBouncer that can be killed and restarted.

    Attributes:
        folder: The folder of its settings, which contain a password and are not searched.
        port: The port on which it listens.
    """

    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it.

        Raises:
            ChaosError: It does not start.
        """
        command = [str(PROGRAM), "-q", str(self.folder / "pgbouncer.ini")]
        if os.geteuid() == 0:  # it refuses to run as root
            command += ["--user", "nobody"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START
        while not _listens(self.port):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise ChaosError(f"pgbouncer does not start: {(self.folder / 'log').read_text()[-300:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def pooler(host: str, port: int, user: str, password: str, mode: str) -> Iterator[Pooler]:
    """Run one in front of a server.

    Args:
        host: The host of the server.
        port: The port of the server.
        user: The user of the connections.
        password: The user's password.
        mode: "session" or "transaction".
    """
    with tempfile.TemporaryDirectory(prefix="pgjobs-pooler-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        one = Pooler(folder, address.free_port("127.0.0.1"))
        lines = [
            "[databases]",
            f"* = host={host} port={port} user={user} password={password}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {one.port}",
            "unix_socket_dir =",
            "auth_type = any",
            f"pool_mode = {mode}",
            "ignore_startup_parameters = extra_float_digits",
        ]
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        one.start()
        try:
            yield one
        finally:
            one.kill()
