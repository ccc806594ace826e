"""One run of PostgreSQL on a data directory: launched with a guardian, its owner on record, then stopped."""

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
STOP_GRACE = 30.0  # seconds for a fast shutdown (its checkpoint may be long), before an immediate one

_LOG_LINES = 15  # of the log in an error's text


class Server:
    """A server process, from its launch on.

    Args:
        command: PostgreSQL's program and arguments.
        data_dir: The data directory, absolute and resolved, which must be free: `leftovers.clear()` it first.
        account: The user to run as.
        environ: The environment to run in.

    Raises:
        OSError: It, or its guardian, cannot be launched.
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
        """Tell whether the process has not ended."""
        return self.process.poll() is None

    def stop(self, wait: bool = True) -> None:
        """Shut down fast, and at once if that takes over STOP_GRACE; nothing happens when it has ended."""
        if os.getpid() != self._starter:
            return  # a fork of the process that started it, at its exit: the server is not the fork's
        if self.is_running():
            self.process.send_signal(signal.SIGINT)
        if wait:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_GRACE)
            if self.is_running():
                self.process.send_signal(signal.SIGQUIT)
            self.wait()

    def wait(self) -> int:
        """Wait for the process to exit, and clear up after it; returns its exit status."""
        status = self.process.wait()
        atexit.unregister(self.stop)
        leftovers.forget_owner(self._data_dir, self.process.pid)
        if self._guardian is not None:
            self._guardian.dismiss()
            self._guardian = None
        return status

    def with_log(self, message: str) -> str:
        """Add to a message where the server's log is, and its end."""
        tail = "\n".join(self.log().splitlines()[-_LOG_LINES:])
        return f"{message}. The end of its log {self._data_dir / LOG_FILE}:\n{tail or '(empty)'}"

    def log(self) -> str:
        """Return what this run has logged; nothing when its data directory is gone."""
        try:
            return (self._data_dir / LOG_FILE).read_text(errors="replace")
        except FileNotFoundError:
            return ""
