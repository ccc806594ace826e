"""What becomes of a server whose owner is killed, exits or forks; and the command line, which is such an owner."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest
from process_table import process_table
from server_folder import server_folder

import servermgr
from servermgr import binaries, datadir, processes, stepdown
from servermgr.postgres import Manager, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"
ENVIRON = {**os.environ, "PYTHONPATH": str(Path(servermgr.__file__).parents[1])}
START = """
import os, sys, time
from servermgr.postgres import Manager
manager = Manager("127.0.0.1", 0, sys.argv[1], settings={"fsync": "off"})
manager.start()
"""
TELL = "print(manager.process.pid, flush=True)\n"


@pytest.fixture(scope="module")
def initialized() -> Iterator[Path]:
    """Make a data directory to copy: a copy takes a fifth of initdb's time."""
    with server_folder() as parent:
        yield Manager(HOST, 0, parent / "data", initialize=True).db_dir


@pytest.fixture
def data_dir(initialized: Path) -> Iterator[Path]:
    """Make a data directory, and see that no server stays in it."""
    with server_folder() as folder:
        copy = folder.resolve() / "data"
        shutil.copytree(initialized, copy)
        yield copy
        left = processes.locked_by(copy)
        if left is not None:
            processes.shut_down(left, copy, 10)


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def is_gone(pid: int) -> bool:
    return not processes.started(pid)


def guardians(data_dir: Path) -> list[int]:
    lines = [(process.pid, process.line) for process in process_table()]
    return [pid for pid, line in lines if "servermgr.guardian" in line and str(data_dir) in line]


def owner(data_dir: Path, code: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", START + code, str(data_dir)]
    return subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_killed_owner_leaves_no_server_and_no_guardian(data_dir: Path) -> None:
    with owner(data_dir, TELL + "time.sleep(60)") as killed:
        server = int(said(killed))
        assert guardians(data_dir)
        killed.kill()
    assert eventually(lambda: is_gone(server))
    assert eventually(lambda: not guardians(data_dir))


def test_a_fork_that_outlives_its_killed_owner_does_not_keep_the_server(data_dir: Path) -> None:
    code = "child = os.fork()\nif child:\n    print(manager.process.pid, child, flush=True)\ntime.sleep(60)"
    with owner(data_dir, code) as killed:
        server, fork = map(int, said(killed).split())
        killed.kill()
        try:
            assert eventually(lambda: is_gone(server))
            assert not is_gone(fork)
        finally:
            os.kill(fork, signal.SIGKILL)


def test_a_fork_does_not_stop_its_owners_server(data_dir: Path) -> None:
    code = """
child = os.fork()
if not child:
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
manager.health()
print("healthy")
"""
    with owner(data_dir, code) as running:
        output, _ = running.communicate()  # subprocess itself warns in the fork: its process still runs
    assert (output, running.returncode) == ("healthy\n", 0)


def test_an_owner_that_just_exits_stops_its_server_without_a_word(data_dir: Path) -> None:
    with owner(data_dir, TELL) as exiting:
        output, errors = exiting.communicate()
    assert (errors, exiting.returncode) == ("", 0)
    assert is_gone(int(output))
    assert not guardians(data_dir)


def test_stop_ends_the_guardian_too(data_dir: Path) -> None:
    with Manager(HOST, 0, data_dir):
        assert len(guardians(data_dir)) == 1
    assert not guardians(data_dir)


def test_an_orphan_is_stopped_at_the_next_start(data_dir: Path) -> None:
    with owner(data_dir, TELL + "time.sleep(60)") as killed:
        orphan = int(said(killed))
        os.kill(guardians(data_dir)[0], signal.SIGKILL)
        killed.kill()
    assert not is_gone(orphan)
    with Manager(HOST, 0, data_dir) as server:
        assert is_gone(orphan)
        server.health()


def test_the_server_of_a_living_owner_is_left_alone_and_its_owner_named(data_dir: Path) -> None:
    with Manager(HOST, 0, data_dir) as server:
        with pytest.raises(WorkerError, match=f"of the process {os.getpid()}, which still runs"):
            Manager(HOST, 0, data_dir).start()
        server.health()


def test_a_server_started_by_other_means_is_left_alone_and_named(data_dir: Path) -> None:
    programs = binaries.find()
    account = stepdown.account_to_use(os.geteuid())
    reachable = stepdown.within_reach(programs, account) if account else programs
    if account:
        datadir.hand_over(data_dir, account)
    command = [str(reachable.bin / "postgres"), "-D", str(data_dir), "-k", str(data_dir), "-h", ""]
    with stepdown.spawn(command, account, binaries.environment(reachable), subprocess.DEVNULL) as foreign:
        assert eventually(lambda: processes.locked_by(data_dir) == foreign.pid)
        with pytest.raises(WorkerError, match=f"pid {foreign.pid}.* did not start"):
            Manager(HOST, 0, data_dir).start()
        assert foreign.poll() is None
        foreign.send_signal(signal.SIGINT)


def test_a_lock_file_of_a_dead_process_is_no_obstacle(data_dir: Path) -> None:
    server = Manager(HOST, 0, data_dir)
    with subprocess.Popen(["/bin/sh", "-c", ":"]) as dead:
        dead.wait()
    (data_dir / processes.LOCK_FILE).write_text(f"{dead.pid}\n{data_dir}\n")
    with server:
        server.health()


def test_a_lock_file_with_a_recycled_pid_is_no_obstacle(data_dir: Path) -> None:
    server = Manager(HOST, 0, data_dir)
    account = stepdown.account_to_use(os.geteuid())
    with stepdown.spawn(["/bin/sleep", "60"], account, {}) as innocent:
        (data_dir / processes.LOCK_FILE).write_text(f"{innocent.pid}\n{data_dir}\n")
        with server:
            server.health()
        assert innocent.poll() is None
        innocent.kill()


def command_line(*arguments: str, environ: Mapping[str, str] = ENVIRON) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "servermgr.postgres", *arguments]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("request_", [signal.SIGINT, signal.SIGTERM])
def test_command_line_runs_until_it_is_asked_to_stop(data_dir: Path, request_: signal.Signals) -> None:
    fresh = data_dir.parent / "fresh"
    with command_line("-H", HOST, "-p", "0", "-d", str(fresh), "-i") as process:
        assert said(process).startswith("PostgreSQL is ready: postgresql://postgres@127.0.0.1:")
        server = processes.locked_by(fresh)
        assert server
        process.send_signal(request_)
        output, errors = process.communicate()
    assert (output, errors, process.returncode) == ("", "", 0)
    assert is_gone(server)


def test_command_line_fails_when_the_server_ends_by_itself(data_dir: Path) -> None:
    with command_line("-p", "0", "-d", str(data_dir)) as process:
        said(process)
        server = processes.locked_by(data_dir)
        assert server
        os.kill(server, signal.SIGQUIT)
        _, errors = process.communicate()
    assert process.returncode == 1
    assert "ended by itself" in errors


def test_command_line_fails_in_one_line(data_dir: Path) -> None:
    missing = data_dir.parent / "missing"
    with command_line("-i", "False", "-d", str(missing)) as process:
        output, errors = process.communicate()
    assert (output, process.returncode) == ("", 1)
    assert errors.startswith(f"servermgr.postgres: {missing} is no data directory")
    assert errors.count("\n") == 1


def test_command_line_tells_of_a_missing_version_in_one_line(data_dir: Path) -> None:
    with command_line("-d", str(data_dir), "-v", "7.4") as process:
        _, errors = process.communicate()
    assert (process.returncode, errors.count("\n")) == (1, 1)


def test_help_has_an_example() -> None:
    with command_line("--help") as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    assert "example: python -m servermgr.postgres -d" in output


def test_a_folder_of_something_else_is_not_to_be_initialized(data_dir: Path) -> None:
    other = data_dir.parent / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with command_line("-d", str(other)) as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.endswith("is no data directory of PostgreSQL: it has other files, so name another\n")
    assert [file.name for file in other.iterdir()] == ["notes.txt"]
