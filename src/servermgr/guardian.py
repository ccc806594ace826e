"""A tiny process that outlives its parent just long enough to stop the parent's server.

Nothing runs in a process killed by SIGKILL, but the system closes its pipes: the guardian holds the read end of
one and sleeps until then. PR_SET_PDEATHSIG would be shorter, but Linux alone has it, and it fires when a mere
thread ends.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from servermgr import processes

GRACE = 10.0  # seconds for a fast shutdown, before an immediate one
_POLL = 1.0  # seconds between two looks at the parent: a fork of it would keep the pipe open after its death


class Guardian:
    """The parent's side of the guardian.

    Args:
        server: The pid of the postmaster to stop when this process dies.
        data_dir: The data directory it serves, absolute and resolved.
    """

    def __init__(self, server: int, data_dir: Path) -> None:
        package_root = str(Path(__file__).resolve().parent.parent)
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
            # Without `site` it starts in a third of the time; it needs nothing installed.
            [sys.executable, "-S", "-m", "servermgr.guardian", str(server), str(os.getpid()), str(data_dir)],
            # The write end is close-on-exec, as all that Python opens: no other child keeps it open.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**os.environ, "PYTHONPATH": package_root},
            start_new_session=True,  # out of reach of what a terminal or a CI runner sends to the parent's group
        )

    @property
    def pid(self) -> int:
        """The guardian's process id."""
        return self._process.pid

    def dismiss(self) -> None:
        """End the guardian. Call it when the server is gone: the guardian stops one that it still finds."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def watch(server: int, parent: int, data_dir: Path) -> None:
    """Wait for the parent's end, then stop the server if it still holds the data directory."""
    while os.getppid() == parent and not select.select([sys.stdin], [], [], _POLL)[0]:
        pass
    # No lock file yet: the parent died in the server's first moments. Its command line tells it as well.
    if processes.locked_by(data_dir) in {server, None}:
        processes.shut_down(server, data_dir, GRACE)


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
