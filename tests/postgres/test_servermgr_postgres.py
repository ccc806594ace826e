"""What servermgr's Manager promises, kept by real servers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pg8000.native
import pytest
from server_folder import server_folder

from servermgr import binaries, datadir, stepdown
from servermgr.postgres import DatabaseException, Manager, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
FAST = {"fsync": "off", "shared_buffers": "1MB"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down")


@pytest.fixture(scope="module")
def initialized() -> Iterator[Path]:
    """Make a data directory to copy: a copy takes a fifth of initdb's time."""
    with server_folder() as parent:
        yield Manager(HOST, 0, parent / "data", initialize=True).db_dir


@pytest.fixture
def base() -> Iterator[Path]:
    """Make a directory that the server's user can enter; tmp_path is closed to it when root runs the tests."""
    with server_folder() as directory:
        yield directory.resolve()


@pytest.fixture
def executable() -> Iterator[Path]:
    """Make such a directory for programs: in memory, a machine may run none."""
    directory = Path(tempfile.mkdtemp(prefix="servermgr-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory.resolve()
    shutil.rmtree(directory)


@pytest.fixture
def data_dir(base: Path, initialized: Path) -> Path:
    shutil.copytree(initialized, base / "data")
    return base / "data"


@pytest.fixture
def manager(data_dir: Path) -> Iterator[Manager]:
    server = Manager(HOST, 0, data_dir, settings=FAST)
    yield server
    server.stop()


def query(server: Manager, sql: str, password: str | None = None) -> list[Any]:
    with contextlib.closing(
        pg8000.native.Connection(server.user, HOST, "postgres", server.port, password)
    ) as connection:
        return [row[0] for row in connection.run(sql) or []]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def test_context_manager_starts_a_server_and_stops_it(manager: Manager) -> None:
    with manager as server:
        assert server.process
        assert query(server, "SELECT 1") == [1]
        assert is_open(server.port)
    assert server.process.returncode == 0
    assert not is_open(server.port)


def test_url_names_the_running_server(manager: Manager) -> None:
    with manager:
        assert manager.url("jobs") == f"postgresql://postgres@127.0.0.1:{manager.port}/jobs"


def test_a_missing_directory_is_initialized(base: Path) -> None:
    with Manager(HOST, 0, base / "new" / "data", initialize=True, settings=FAST) as server:
        assert query(server, "SELECT 1") == [1]


def test_initialize_leaves_a_database_that_is_there_as_it_is(manager: Manager) -> None:
    with manager:
        query(manager, "CREATE TABLE kept AS SELECT 42")
    with Manager(HOST, 0, manager.db_dir, initialize=True, settings=FAST) as again:
        assert query(again, "TABLE kept") == [42]


def test_an_empty_directory_is_initialized(base: Path) -> None:
    (base / "data").mkdir()
    Manager(HOST, 0, base / "data", initialize=True)
    assert (base / "data" / "PG_VERSION").exists()


def test_a_directory_with_other_things_is_not_touched(base: Path) -> None:
    (base / "data").mkdir()
    (base / "data" / "letter.txt").write_text("dear")
    manager = Manager(HOST, 0, base / "data", initialize=True)
    with pytest.raises(DatabaseException, match="no data directory of PostgreSQL"):
        manager.start()
    assert [path.name for path in (base / "data").iterdir()] == ["letter.txt"]


def test_a_missing_directory_is_an_error_without_initialize(base: Path) -> None:
    with pytest.raises(DatabaseException, match="initialize it"):
        Manager(HOST, 0, base / "data").start()


def test_initdb_that_fails_tells_why(base: Path) -> None:
    with pytest.raises(DatabaseException, match="no-such-method"):
        Manager(HOST, 0, base / "data", initialize=True, auth="no-such-method")


def test_port_zero_lets_two_servers_run_side_by_side(manager: Manager, base: Path, initialized: Path) -> None:
    shutil.copytree(initialized, base / "other")
    with manager, Manager(HOST, 0, base / "other", settings=FAST) as other:
        assert manager.port != other.port
        assert query(other, "SHOW port") == [str(other.port)]


def test_a_chosen_port_that_is_taken_meanwhile_is_chosen_again(manager: Manager) -> None:
    with manager:
        first = manager.port
    with socket.create_server((HOST, first)), manager:
        assert manager.port != first
        assert query(manager, "SELECT 1") == [1]


def test_a_given_port_that_is_taken_is_an_error_with_the_servers_own_words(data_dir: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        manager = Manager(HOST, taken.getsockname()[1], data_dir)
        with pytest.raises(WorkerError, match="Address already in use") as caught:
            manager.start()
    assert str(manager.log_path) in str(caught.value)


def test_another_server_on_the_port_is_not_mistaken_for_ours(manager: Manager, base: Path, initialized: Path) -> None:
    shutil.copytree(initialized, base / "rival")
    with manager:
        rival = Manager(HOST, manager.port, base / "rival")
        with pytest.raises(WorkerError, match="Address already in use"):
            rival.start()
        manager.health()


def test_a_bad_setting_is_an_error_with_the_servers_own_words(data_dir: Path) -> None:
    manager = Manager(HOST, 0, data_dir, settings={"no_such_setting": 1})
    with pytest.raises(WorkerError, match="unrecognized configuration parameter"):
        manager.start()


def test_a_server_that_ends_while_its_health_is_checked_is_an_error_with_its_own_words(data_dir: Path) -> None:
    class EndsMeanwhile(Manager):
        def health(self) -> None:
            assert self.process
            self.process.wait()
            raise WorkerError("PostgreSQL does not listen yet")

    manager = EndsMeanwhile(HOST, 0, data_dir, settings={"no_such_setting": 1})
    with pytest.raises(WorkerError, match="unrecognized configuration parameter"):
        manager.start()


def test_a_corrupt_directory_is_an_error_with_the_servers_own_words(manager: Manager) -> None:
    (manager.db_dir / "global" / "pg_control").unlink()
    with pytest.raises(WorkerError, match="pg_control"):
        manager.start()


def test_a_server_that_does_not_get_ready_is_stopped(data_dir: Path) -> None:
    unreachable = {"listen_addresses": "", "unix_socket_directories": data_dir}
    manager = Manager(HOST, 0, data_dir, settings=unreachable)
    with pytest.raises(WorkerError, match=r"not ready after 0\.3 s.*does not listen"):
        manager.start(timeout=0.3)
    assert manager.process
    assert manager.process.returncode is not None


def test_start_of_a_running_server_is_an_error(manager: Manager) -> None:
    with manager, pytest.raises(WorkerError, match="running already"):
        manager.start()


def test_stop_may_be_repeated_and_start_again_keeps_the_port(manager: Manager) -> None:
    manager.stop()
    manager.start()
    port = manager.port
    manager.stop()
    manager.stop()
    with manager:
        assert manager.port == port


def test_stop_without_waiting_lets_wait_see_the_end(manager: Manager) -> None:
    manager.start(wait=False)
    manager.ready_wait(verbose=True)
    manager.stop(wait=False)
    assert manager.wait() == 0


def test_stop_does_not_wait_for_open_connections(manager: Manager) -> None:
    manager.start()
    connection = pg8000.native.Connection("postgres", HOST, "postgres", manager.port)
    manager.stop()
    assert manager.process
    assert manager.process.returncode == 0, "a fast shutdown, and not the immediate one that follows in vain"
    with contextlib.suppress(pg8000.native.InterfaceError):
        connection.close()


def test_without_a_process_there_is_nothing_to_wait_for(manager: Manager) -> None:
    assert manager.process is None
    for call in (manager.health, manager.ready_wait, manager.wait):
        with pytest.raises(WorkerError, match="no PostgreSQL process"):
            call()


def test_health_fails_once_the_server_has_ended_and_start_brings_it_back(manager: Manager) -> None:
    manager.start()
    manager.health()
    assert manager.process
    manager.process.send_signal(signal.SIGQUIT)
    manager.process.wait()
    with pytest.raises(WorkerError, match="ended with status"):
        manager.health()
    manager.start()
    manager.health()


def test_health_needs_no_password(base: Path) -> None:
    secret = {"auth": "scram-sha-256", "password": "geheim", "user": "chief"}
    with Manager(HOST, 0, base / "data", initialize=True, settings=FAST, **secret) as server:
        server.health()
        assert query(server, "SELECT current_user", "geheim") == ["chief"]
        with pytest.raises(pg8000.native.DatabaseError, match="password authentication failed"):
            query(server, "SELECT 1", "wrong")


def test_settings_reach_the_server(data_dir: Path) -> None:
    with Manager(HOST, 0, data_dir, settings={"max_connections": 7}) as server:
        assert query(server, "SHOW max_connections") == ["7"]


def test_encoding_locale_and_time_zone_are_not_the_callers(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callers = {"LANG": "xx_XX.UTF-8", "LC_ALL": "xx_XX", "TZ": "Asia/Tokyo", "PGPORT": "1", "PGDATA": "/none"}
    for name, value in callers.items():
        monkeypatch.setenv(name, value)
    with Manager(HOST, 0, base / "data", initialize=True, settings=FAST) as server:
        assert query(server, "SELECT pg_encoding_to_char(encoding) FROM pg_database") == ["UTF8"] * 3
        assert query(server, "SELECT datcollate FROM pg_database") == ["C"] * 3
        assert query(server, "SHOW TimeZone")[0] in {"Etc/UTC", "UTC"}


def test_no_socket_is_made_so_a_long_path_is_no_problem(base: Path) -> None:
    with Manager(HOST, 0, base / ("d" * 100) / ("e" * 100), initialize=True, settings=FAST) as server:
        assert query(server, "SHOW unix_socket_directories") == [""]
        assert not list(server.db_dir.glob(".s.PGSQL*"))


def test_no_descriptor_leaks_into_other_children(manager: Manager) -> None:
    before = set(Path("/dev/fd").iterdir())
    with manager:
        for path in set(Path("/dev/fd").iterdir()) - before:
            with contextlib.suppress(OSError):  # that of the listing itself
                assert not os.get_inheritable(int(path.name))


@as_root
def test_root_runs_the_server_as_another_user(manager: Manager) -> None:
    account = stepdown.account_to_use(0)
    assert account
    with manager:
        assert manager.db_dir.stat().st_uid == account.uid
        assert manager.process
        assert Path(f"/proc/{manager.process.pid}").stat().st_uid == account.uid


@as_root
def test_root_hands_over_a_data_directory_of_its_own(manager: Manager) -> None:
    assert manager.db_dir.stat().st_uid == 0  # root made the copy
    with manager:
        manager.health()


@as_root
def test_root_does_not_take_a_strangers_directory(manager: Manager) -> None:
    os.chown(manager.db_dir, 4242, 4242)
    with pytest.raises(DatabaseException, match="belongs to uid 4242"):
        manager.start()


@as_root
def test_the_directory_in_the_servers_users_way_is_named(base: Path) -> None:
    (base / "closed").mkdir(mode=0o700)
    with pytest.raises(DatabaseException, match=f"cannot enter {base}/closed.*chmod o\\+x"):
        Manager(HOST, 0, base / "closed" / "data", initialize=True)


@as_root
def test_programs_that_only_root_can_reach_are_copied_once(executable: Path) -> None:
    package = next(filter(None, map(binaries.package_directory, binaries.WHEELS)), None)
    if package is None:
        pytest.skip("no wheel with PostgreSQL's programs is installed")
    closed = executable / "closed" / package.name
    closed.parent.mkdir(mode=0o700)
    shutil.copytree(package / "pginstall", closed / "pginstall", ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed.with_name(libraries.name))
    found = binaries.find(environ={}, places=[], locate=lambda name: closed if name == closed.name else None)
    account = stepdown.account_to_use(0)
    assert account

    copy = stepdown.within_reach(found, account, executable / "cache")
    assert copy == stepdown.within_reach(found, account, executable / "cache")
    assert copy == stepdown.within_reach(copy, account, executable / "cache")
    assert len(list((executable / "cache").iterdir())) == 1
    environ = binaries.environment(copy)
    datadir.initialize(executable / "data", copy.bin, account, environ, user="postgres", auth="trust", password="")
    assert (executable / "data" / "PG_VERSION").exists()


@as_root
def test_a_cache_that_others_can_write_is_refused(base: Path) -> None:
    account = stepdown.account_to_use(0)
    assert account
    (base / "closed" / "bin").mkdir(parents=True)
    (base / "closed").chmod(0o700)
    (base / "cache").mkdir()
    (base / "cache").chmod(0o777)
    unreachable = binaries.Installation("15", base / "closed" / "bin")
    with pytest.raises(DatabaseException, match="only root can write"):
        stepdown.within_reach(unreachable, account, base / "cache")
    (base / "link").symlink_to(base / "closed")
    with pytest.raises(DatabaseException, match="only root can write"):
        stepdown.within_reach(unreachable, account, base / "link")
