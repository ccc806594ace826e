"""The demo's PostgreSQL: a background process with its data below .demo, which outlives `make demo`."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import demo_text as text
from servermgr import address, leftovers, stepdown

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
READY = "PostgreSQL is ready: "  # servermgr.postgres prints this
START_TIMEOUT = 60.0  # seconds: on a slow disk, initdb takes ten
STOP_TIMEOUT = 30.0  # seconds: a fast shutdown writes a checkpoint
POLL = 0.1  # seconds between checks


class DemoError(Exception):
    """The demo cannot continue. The message says why."""


def data_folder(state: Path) -> Path:
    """Return the data folder: in the clone, or below /var/tmp if PostgreSQL's user cannot enter the clone."""
    account = stepdown.account_to_use(os.geteuid())
    if account is None or not stepdown.first_blocked([*reversed(state.parents), state], account):
        return state / "postgres"
    return outside(state) / "postgres"


def outside(state: Path) -> Path:
    """Return this clone's folder below /var/tmp. It is created if it is missing, and used only if it is ours."""
    name = hashlib.sha256(str(state).encode()).hexdigest()[:12]
    folder = Path(f"/var/tmp/pgjobs-demo-{os.geteuid()}-{name}")  # noqa: S108 - its owner is checked below
    folder.mkdir(exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise DemoError(f"{folder} is somebody else's: remove it, then run make demo again.")
    folder.chmod(0o755)
    return folder


def is_running(data: Path) -> bool:
    """Return whether the process that a demo started still runs the server."""
    owner = leftovers.owner_of(data)
    return owner is not None and owner.lives()


def start(state: Path, data: Path) -> int:
    """Start the server if it does not run. Return its port, which stays the same as long as it is free."""
    remembered = state / "port"
    port = int(remembered.read_text()) if remembered.exists() else 0
    if is_running(data):
        return port
    if not port or not is_free(port):
        port = address.free_port(HOST)
        remembered.write_text(f"{port}\n")
    log = state / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(data, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C ends the demo, but not its server
        )
    wait_until(lambda: READY in log.read_text() or process.poll() is not None, START_TIMEOUT)
    if process.poll() is not None or READY not in log.read_text():
        process.terminate()
        raise DemoError(f"PostgreSQL did not start:\n\n{text.tail(log.read_text(), 20)}")
    return port


def command(data: Path, port: int) -> list[str]:
    """Return the command of the server. Existing data keep the version that created them."""
    made_by = data / "PG_VERSION"
    version = ["-v", made_by.read_text().strip()] if made_by.exists() else []
    return [sys.executable, "-m", "servermgr.postgres", "-d", str(data), "-p", str(port), "-i", *version]


def stop(data: Path) -> bool:
    """Stop the server. Return whether it ran."""
    owner = leftovers.owner_of(data)
    if owner is None or not owner.lives():
        return False
    os.kill(owner.pid, signal.SIGTERM)
    if not wait_until(lambda: not is_running(data), STOP_TIMEOUT):
        raise DemoError(f"PostgreSQL (process {owner.pid}) does not stop.")
    return True


def remove(state: Path, data: Path) -> None:
    """Remove the data of a stopped server, and everything else that the demo made."""
    for folder in (data, state):
        shutil.rmtree(folder, ignore_errors=True)
    if data.parent != state:
        data.parent.rmdir()


def is_free(port: int) -> bool:
    """Return whether the port is currently free."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait until the condition holds. Return whether it did in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
