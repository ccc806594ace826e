"""servermgr's parts that need no server: addresses, processes, records, accounts, flags, errors."""

from __future__ import annotations

import os
import pickle
import pwd
import socket
import subprocess
import time
from pathlib import Path

import pytest

from servermgr import address, cli, datadir, leftovers, processes, stepdown
from servermgr.errors import DatabaseException
from servermgr.postgres import _env_with_postgres_path, _get_default_postgres_version

DATA = Path("/srv/pg data")
NO_PROCESS = 2**22 + 1  # above every system's highest pid


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "postgresql://postgres@127.0.0.1:15432/db"),
        ("0.0.0.0", "postgresql://postgres@127.0.0.1:15432/db"),  # noqa: S104 - not bound
        ("", "postgresql://postgres@127.0.0.1:15432/db"),
        ("::1", "postgresql://postgres@[::1]:15432/db"),
        ("localhost,10.0.0.7", "postgresql://postgres@localhost:15432/db"),
    ],
)
def test_url_is_one_that_clients_of_this_machine_can_use(host: str, url: str) -> None:
    assert address.url("postgres", host, 15432, "db") == url


def test_url_quotes_names() -> None:
    assert address.url("a b", "127.0.0.1", 1, "c/d") == "postgresql://a%20b@127.0.0.1:1/c%2Fd"


def test_free_port_can_be_bound() -> None:
    with socket.create_server(("127.0.0.1", address.free_port("127.0.0.1"))):
        pass


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
        deadline = time.monotonic() + 5
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


def test_owner_is_recorded_and_lives(tmp_path: Path) -> None:
    leftovers.record_owner(tmp_path, 7, None)
    owner = leftovers.owner_of(tmp_path)
    assert owner == leftovers.Owner(os.getpid(), processes.started(os.getpid()), 7)
    assert owner.lives()


def test_owner_with_a_recycled_pid_is_dead() -> None:
    assert not leftovers.Owner(os.getpid(), "another time", 7).lives()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": 1}'])
def test_a_torn_record_names_no_owner(text: str, tmp_path: Path) -> None:
    (tmp_path / leftovers.OWNER_FILE).write_text(text)
    assert leftovers.owner_of(tmp_path) is None


def test_the_record_of_a_later_server_is_kept(tmp_path: Path) -> None:
    leftovers.record_owner(tmp_path, 7, None)
    leftovers.forget_owner(tmp_path, 6)
    assert leftovers.owner_of(tmp_path)
    leftovers.forget_owner(tmp_path, 7)
    assert leftovers.owner_of(tmp_path) is None


def test_a_new_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    with datadir.new_file(tmp_path / "log", None) as file:
        file.write(b"new")
    assert (tmp_path / "victim").read_text() == "kept"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def entry(name: str) -> pwd.struct_passwd:
    if name != "nobody":
        raise KeyError(name)
    return pwd.struct_passwd((name, "x", 65534, 65533, "", "/", "/bin/false"))


def test_root_steps_down_to_the_first_account_there_is() -> None:
    assert stepdown.account_to_use(0, entry) == stepdown.Account("nobody", 65534, 65533)


def test_others_run_as_themselves() -> None:
    assert stepdown.account_to_use(1000, entry) is None


def test_root_without_an_account_is_told_to_add_one() -> None:
    def nobody_at_all(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    with pytest.raises(DatabaseException, match="useradd"):
        stepdown.account_to_use(0, nobody_at_all)


def test_flags_have_their_published_names_and_defaults() -> None:
    assert vars(cli.parse(["-d", "x"], None)) == {
        "host": "127.0.0.1",
        "port": 15432,
        "datadir": "x",
        "init": False,
        "version": "",
    }
    long = ["--host", "::1", "--port", "1", "--datadir", "x", "--init", "--version", "15"]
    assert cli.parse(long, None) == cli.parse(["-H", "::1", "-p", "1", "-d", "x", "-i", "-v", "15"], None)


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.fail("what\nwhy") == 1
    assert capsys.readouterr().err == "servermgr.postgres: what | why\n"


def test_default_version_is_the_environments() -> None:
    assert _get_default_postgres_version({"POSTGRES_VERSION": "9.1"}) == "9.1"


def test_environment_of_a_missing_version_is_an_error() -> None:
    with pytest.raises(DatabaseException, match=r"no PostgreSQL 7\.4"):
        _env_with_postgres_path("7.4")


def test_database_exception_keeps_its_cause_through_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(DatabaseException(OSError("gone"), 1, path="/x")))  # noqa: S301 - made here
    assert (str(error), error.args[1], error.kwargs) == ("gone", 1, {"path": "/x"})
