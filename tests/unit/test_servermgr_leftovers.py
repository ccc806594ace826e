"""The record of a server's owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from servermgr import leftovers, processes


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
