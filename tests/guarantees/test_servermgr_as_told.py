"""Each sentence of the documentation of servermgr.postgres, in its order, tried."""

from __future__ import annotations

import inspect
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from server_folder import server_folder

from servermgr import binaries
from servermgr.postgres import (
    DatabaseException,
    Manager,
    WorkerError,
    _check_lockdir_permissions,
    _env_with_postgres_path,
    _get_default_postgres_version,
    _initialize_directory,
    main,
)

HOST = "127.0.0.1"
FAST = {"fsync": "off", "shared_buffers": "1MB"}


@pytest.fixture(scope="module")
def running() -> Iterator[Manager]:
    """A server that runs, for what does not change it."""
    with server_folder() as parent:
        data = str(parent / "data")
        chosen = port_that_nobody_is_given()
        manager = Manager(HOST, chosen, data, True, "", process_name="seed", settings=FAST, max_connections=7)
        shutil.copytree(data, parent / "copy")
        with manager:
            yield manager


def port_that_nobody_is_given() -> int:
    """A free port, below those that the system gives to connections while the server starts."""
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise AssertionError


@pytest.fixture
def stopped(running: Manager) -> Iterator[Manager]:
    """A server of its own, which is not started; its data directory is a copy of what initdb made."""
    with server_folder() as parent:
        shutil.copytree(running.db_dir.parent / "copy", parent / "data")
        manager = Manager(HOST, 0, str(parent / "data"), settings=FAST)
        yield manager
        manager.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as parent:
        yield parent


def test_use_this_module_to_initialize_a_data_directory_and_to_manage_a_server(running: Manager) -> None:
    assert (running.db_dir / "PG_VERSION").exists()
    running.health()


def test_postgres_version_if_specified_will_be_the_default_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_BIN", raising=False)
    monkeypatch.setenv("POSTGRES_VERSION", "7.4")
    assert _get_default_postgres_version() == "7.4"
    with pytest.raises(DatabaseException, match=r"no PostgreSQL 7\.4"):
        Manager(HOST, 0, "nowhere")


def test_exception_databaseexception_takes_an_exception_and_arguments() -> None:
    error = DatabaseException(ValueError("bad"), 1, why="because")
    assert (str(error), error.args[1:], error.kwargs) == ("bad", (1,), {"why": "because"})


def test_manager_has_the_signature() -> None:
    parameters = inspect.signature(Manager).parameters
    assert list(parameters)[:5] == ["host", "port", "db_dir", "initialize", "pg_version"]
    assert (parameters["initialize"].default, parameters["pg_version"].default) == (False, "")
    assert any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def test_manager_takes_process_name_and_other_keyword_arguments(running: Manager) -> None:
    assert running.process
    ps, named = ["/bin/ps", "-eo", "ppid,args"], f"{running.process.pid} postgres: seed: checkpointer"
    while named not in " ".join(subprocess.run(ps, check=True, capture_output=True, text=True).stdout.split()):
        time.sleep(0.1)  # a process of the server gives itself its name
    assert running.process_name == "seed"
    assert running.settings["max_connections"] == 7


def test_use_the_version_specified_by_the_pg_version_parameter(folder: Path) -> None:
    version = binaries.find().version
    assert Manager(HOST, 0, folder / "data", pg_version=version).pg_version == version
    with pytest.raises(DatabaseException, match=r"no PostgreSQL 7\.4"):
        Manager(HOST, 0, folder / "data", pg_version="7.4")


def test_if_the_environment_variable_is_not_set_use_the_highest_numbered_version(tmp_path: Path) -> None:
    for version in ("9.6", "15", "14"):
        (tmp_path / version / "bin").mkdir(parents=True)
        for program in binaries.PROGRAMS:
            (tmp_path / version / "bin" / program).touch(mode=0o755)
    assert binaries.find(environ={}, places=[f"{tmp_path}/*/bin"]).version == "15"
    assert "/usr/lib/postgresql/*/bin" in binaries.SYSTEM_PLACES


def test_host_is_the_interface_and_port_the_port_to_listen_on(running: Manager) -> None:
    socket.create_connection((HOST, running.port)).close()
    lock_file = (running.db_dir / "postmaster.pid").read_text().split("\n")
    assert (lock_file[3], lock_file[5]) == (str(running.port), HOST)


def test_the_data_directory_will_be_initialized_iff_it_does_not_already_exist(
    running: Manager, stopped: Manager, folder: Path
) -> None:
    assert (running.db_dir / "PG_VERSION").exists()  # which did not exist
    before = sorted(path.stat().st_mtime_ns for path in stopped.db_dir.rglob("*"))
    Manager(HOST, 0, stopped.db_dir, initialize=True)
    assert sorted(path.stat().st_mtime_ns for path in stopped.db_dir.rglob("*")) == before
    Manager(HOST, 0, folder / "unasked")
    assert not (folder / "unasked").exists()


def test_databaseexception_if_data_directory_initialization_fails(folder: Path) -> None:
    with pytest.raises(DatabaseException, match="initdb failed"):
        Manager(HOST, 0, folder / "data", initialize=True, auth="no-such-method")


def test_health_raises_workererror_if_we_cannot_connect_to_the_database(stopped: Manager) -> None:
    stopped.start()
    stopped.health()
    stopped.stop()
    with pytest.raises(WorkerError, match="ended with status 0"):
        stopped.health()


def test_process_is_the_process_object(running: Manager) -> None:
    assert isinstance(running.process, subprocess.Popen)
    assert running.process.poll() is None


def test_ready_wait_waits_until_the_subprocess_responds(stopped: Manager) -> None:
    stopped.start(wait=False)
    stopped.ready_wait(timeout=60.0, verbose=False)
    stopped.health()


def test_ready_wait_if_the_timeout_expires_kills_the_server_and_raises_workererror(stopped: Manager) -> None:
    stopped.settings |= {"listen_addresses": "", "unix_socket_directories": stopped.db_dir}
    stopped.start(wait=False)
    with pytest.raises(WorkerError, match=r"not ready after 0\.2 s"):
        stopped.ready_wait(timeout=0.2)
    assert stopped.process
    assert stopped.process.returncode is not None


def test_ready_wait_raises_workererror_if_there_is_no_subprocess(stopped: Manager) -> None:
    with pytest.raises(WorkerError, match="no PostgreSQL process"):
        stopped.ready_wait()


def test_start_launches_the_process_and_calls_ready_wait_with_the_timeout(stopped: Manager) -> None:
    stopped.settings |= {"listen_addresses": "", "unix_socket_directories": stopped.db_dir}
    with pytest.raises(WorkerError, match=r"not ready after 0\.1 s"):
        stopped.start(wait=True, timeout=0.1)


def test_start_raises_oserror_if_postgres_fails_to_launch(stopped: Manager) -> None:
    with server_folder() as programs:
        for program in binaries.PROGRAMS:
            (programs / program).symlink_to(binaries.find().bin / program)
        stopped._programs = replace(stopped._programs, directory=programs)  # noqa: SLF001 - found, then removed
        (programs / "postgres").unlink()
        with pytest.raises(OSError, match="postgres"):
            stopped.start()


def test_stop_terminates_the_subprocess_and_waits_for_it_to_exit_if_wait_is_true(stopped: Manager) -> None:
    stopped.start()
    assert stopped.process
    stopped.stop(wait=True)
    assert stopped.process.returncode == 0


def test_wait_waits_for_the_process_to_exit(stopped: Manager) -> None:
    stopped.start()
    stopped.stop(wait=False)
    stopped.wait()
    assert stopped.process
    assert stopped.process.returncode == 0


def test_check_lockdir_permissions_raises_databaseexception_without_write_permission(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_DATA", str(folder / "data"))
    _check_lockdir_permissions()
    (folder / "data").mkdir(mode=0o500)
    with pytest.raises(DatabaseException, match=f"cannot write to {folder.resolve()}/data"):
        _check_lockdir_permissions()


def test_get_default_postgres_version_returns_none_if_we_cannot_determine_it(tmp_path: Path) -> None:
    assert _get_default_postgres_version({"POSTGRES_BIN": str(tmp_path)}) is None


def test_env_with_postgres_path_appends_the_bin_directory_to_the_end(running: Manager) -> None:
    path = _env_with_postgres_path(running.pg_version)["PATH"].split(os.pathsep)
    assert path[-1] == str(binaries.find(running.pg_version).bin)
    assert path[:-1] == os.environ["PATH"].split(os.pathsep)


def test_initialize_directory_takes_the_name_of_the_directory_and_the_version(
    running: Manager, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    _initialize_directory("name", running.pg_version)
    assert (folder / "name" / "PG_VERSION").exists()


def test_initialize_directory_raises_oserror_if_subprocess_execution_fails(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(OSError, match="file"):
        _initialize_directory(str(folder / "file" / "data"), "")


def test_you_can_use_this_script_to_start_a_copy_of_postgres(folder: Path) -> None:
    command = [sys.executable, "-m", "servermgr.postgres", "-p", "0"]
    environ = {**os.environ, "POSTGRES_DATA": str(folder / "data")}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdout
        ready = script.stdout.readline()
        script.send_signal(signal.SIGINT)
    assert ready.startswith("PostgreSQL is ready: postgresql://postgres@127.0.0.1:")
    assert script.returncode == 0
    assert (folder / "data" / "PG_VERSION").exists()


def test_the_options_are_those_of_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    usage = capsys.readouterr().out
    for short, long in [("-h", "help"), ("-H", "host"), ("-p", "port"), ("-d", "datadir"), ("-i", "init")]:
        assert f"{short}" in usage
        assert f"--{long}" in usage
    assert "-v VERSION, --version VERSION" in usage or "-v, --version VERSION" in usage
