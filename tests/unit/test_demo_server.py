from __future__ import annotations

import socket
from pathlib import Path

import pytest

from demo_server import command, is_free, is_running, stop, wait_until


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not is_free(taken.getsockname()[1])


def test_a_port_nobody_listens_on_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as released:
        port = released.getsockname()[1]
    assert is_free(port)


def test_no_server_runs_on_a_folder_without_an_owner(tmp_path: Path) -> None:
    assert not is_running(tmp_path)


def test_stopping_what_does_not_run_does_nothing(tmp_path: Path) -> None:
    assert not stop(tmp_path)


@pytest.mark.parametrize(("made_by", "last"), [("15\n", ["-v", "15"]), (None, ["-i"])])
def test_data_go_on_with_the_version_that_made_them(tmp_path: Path, made_by: str | None, last: list[str]) -> None:
    if made_by:
        (tmp_path / "PG_VERSION").write_text(made_by)
    assert command(tmp_path, 5432)[-len(last) :] == last


@pytest.mark.parametrize(("condition", "in_time"), [(True, True), (False, False)])
def test_waiting_tells_whether_it_was_in_time(condition: bool, in_time: bool) -> None:
    assert wait_until(lambda: condition, 0.0) is in_time
