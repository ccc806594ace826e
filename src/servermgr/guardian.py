"""A small process that outlives its parent in order to stop the parent's server.

A process that is killed by SIGKILL cannot clean up, but the system closes its pipes. The guardian holds the read end of
such a pipe and sleeps until the pipe is closed. PR_SET_PDEATHSIG would be simpler, but only Linux has it, and the end
of a mere thread triggers it.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from servermgr import processes

GRACE = 10.0  # seconds for a fast shutdown, before an immediate one
_POLL = 1.0  # seconds between two checks of the parent: a fork of the parent would keep the pipe open after its death


class Guardian:
    """The guardian, as seen from the parent process.

    Args:
        server: The pid of the postmaster that the guardian stops when this process dies.
        data_dir: The data directory of that postmaster, absolute and resolved.
    """

    def __init__(self, server: int, data_dir: Path) -> None:
        package_root = str(Path(__file__).resolve().parent.parent)
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
            # Without `site`, Python starts in a third of the time. The guardian needs no installed package.
            [sys.executable, "-S", "-m", "servermgr.guardian", str(server), str(os.getpid()), str(data_dir)],
            # The write end is close-on-exec, as all files that Python opens, so no other child process keeps it open.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**os.environ, "PYTHONPATH": package_root},
            start_new_session=True,  # unaffected by signals that a terminal or CI runner sends to the parent's group
        )

    @property
    def pid(self) -> int:
        """The guardian's process id."""
        return self._process.pid

    def dismiss(self) -> None:
        """End the guardian. Call this after the server has stopped: otherwise the guardian stops the server."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def watch(server: int, parent: int, data_dir: Path) -> None:
    """Wait for the end of the parent, then stop the server if it still uses the data directory."""
    while os.getppid() == parent and not select.select([sys.stdin], [], [], _POLL)[0]:
        pass
    # There is no lock file yet if the parent died while the server was starting. The command line identifies it, too.
    if processes.locked_by(data_dir) in {server, None}:
        processes.shut_down(server, data_dir, GRACE)


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
