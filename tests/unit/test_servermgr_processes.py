"""Which process is a server, and whether it still lives."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from servermgr import processes

DATA = Path("/srv/pg data")


NO_PROCESS = 2**22 + 1  # above every system's highest pid


@pytest.mark.parametrize(
    ("program", "line", "ours"),
    [
        ("/usr/lib/postgresql/15/bin/postgres", "postgres -D /srv/pg data -k  -p 1", True),
        ("/usr/lib/postgresql/15/bin/postgres", "postgres -D /srv/pg data", True),
        ("postgres", "postgres -D /srv/../srv/pg data -p 1", True),
        ("postgres", "postgres -D /srv/other -p 1", False),
        ("postgres", "postgres -D /srv/pg data2 -p 1", False),
        ("postgres", "postgres -p 1", True),  # it may serve the directory: better not to touch that
        ("postgres: checkpointer ", "postgres: checkpointer ", False),
        ("vim", "vim -D /srv/pg data /usr/bin/postgres", False),
        ("", "", False),
    ],
)
def test_a_postmaster_is_known_by_program_and_directory(program: str, line: str, ours: bool) -> None:
    assert processes.serves(processes.Command(program, line), DATA) is ours


def test_a_process_is_known_by_pid_and_start() -> None:
    assert processes.started(os.getpid()) == processes.started(os.getpid()) != ""
    assert processes.started(NO_PROCESS) == ""


def test_a_zombie_counts_as_gone() -> None:
    with subprocess.Popen(["/bin/sh", "-c", ":"]) as child:  # ends soon, but nobody has waited for it yet
        deadline = time.monotonic() + 60
        while processes.started(child.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert processes.started(child.pid) == ""
        assert child.returncode is None


@pytest.mark.parametrize(
    ("text", "pid"), [("123\n/data\n", 123), ("-123\n", 123), ("", None), ("junk\n", None), ("12x\n", None)]
)
def test_lock_file_names_a_pid_or_none(text: str, pid: int | None, tmp_path: Path) -> None:
    (tmp_path / processes.LOCK_FILE).write_text(text)
    assert processes.locked_by(tmp_path) == pid


def test_no_lock_file_names_no_pid(tmp_path: Path) -> None:
    assert processes.locked_by(tmp_path) is None


def test_a_server_listens_once_its_lock_file_has_an_address(tmp_path: Path) -> None:
    lines = ["7", "/data", "1700000000", "15432", "", ""]
    for address_line, listens in [("", False), ("127.0.0.1", True)]:
        (tmp_path / processes.LOCK_FILE).write_text("\n".join([*lines[:5], address_line, ""]))
        assert processes.is_listening(7, tmp_path) is listens
        assert processes.is_listening(8, tmp_path) is False
