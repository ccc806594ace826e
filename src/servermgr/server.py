"""One run of PostgreSQL on a data directory: started with a guardian and with a record of its owner, then stopped."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

from servermgr import datadir, leftovers, stepdown
from servermgr.guardian import Guardian

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from servermgr.stepdown import Account

LOG_FILE = "server.log"
STOP_GRACE = 30.0  # seconds for a fast shutdown (its checkpoint may take long), before an immediate one

_LOG_LINES = 15  # lines of the log in an error message


class Server:
    """A server process. Creating the object starts it.

    Args:
        command: PostgreSQL's program and arguments.
        data_dir: The data directory, absolute and resolved. It must be free: call `leftovers.clear()` first.
        account: The user to run as.
        environ: The environment variables of the process.

    Raises:
        OSError: The server or its guardian cannot be started.
    """

    def __init__(
        self, command: Sequence[str], data_dir: Path, account: Account | None, environ: Mapping[str, str]
    ) -> None:
        self._data_dir = data_dir
        self._starter = os.getpid()
        self._guardian: Guardian | None = None
        with datadir.new_file(data_dir / LOG_FILE, account) as log:
            self.process = stepdown.spawn(command, account, environ, log)
        atexit.register(self.stop)
        try:
            leftovers.record_owner(data_dir, self.process.pid, account)
            self._guardian = Guardian(self.process.pid, data_dir)
        except BaseException:
            self.stop()
            raise

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self.process.poll() is None

    def stop(self, wait: bool = True) -> None:
        """Shut the server down, fast at first, and immediately after STOP_GRACE. Does nothing if it has ended."""
        if os.getpid() != self._starter:
            return  # this is a fork of the process that started the server, and must not stop it
        if self.is_running():
            self.process.send_signal(signal.SIGINT)
        if wait:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_GRACE)
            if self.is_running():
                self.process.send_signal(signal.SIGQUIT)
            self.wait()

    def wait(self) -> int:
        """Wait for the process to exit, and clean up after it. Returns its exit status."""
        status = self.process.wait()
        atexit.unregister(self.stop)
        leftovers.forget_owner(self._data_dir, self.process.pid)
        if self._guardian is not None:
            self._guardian.dismiss()
            self._guardian = None
        return status

    def with_log(self, message: str) -> str:
        """Append the path of the server's log and its last lines to a message."""
        tail = "\n".join(self.log().splitlines()[-_LOG_LINES:])
        return f"{message}. The end of its log {self._data_dir / LOG_FILE}:\n{tail or '(empty)'}"

    def log(self) -> str:
        """Return what this run has logged; an empty text if its data directory no longer exists."""
        try:
            return (self._data_dir / LOG_FILE).read_text(errors="replace")
        except FileNotFoundError:
            return ""
