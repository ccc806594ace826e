"""make chaos searches for a planted password, and would find it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from chaos.stage.passwords import Search, plant


def test_a_password_is_found_in_files_once_and_also_where_a_log_has_grown(tmp_path: Path) -> None:
    password = plant()
    search = Search(password, tmp_path)
    (tmp_path / "deep").mkdir()
    log = tmp_path / "deep" / "spark.log"
    log.write_text(f"nothing {password[:-4]}")
    assert list(search.in_files()) == []
    with log.open("a") as more:
        more.write(password[-4:])
    assert list(search.in_files()) == ["the password is in deep/spark.log"]
    assert list(search.in_files()) == []
    (tmp_path / "part").write_bytes(b"\0" + password.encode())
    assert list(search.in_files()) == ["the password is in part"]


def test_a_password_is_found_in_texts_and_on_a_command_line() -> None:
    password = plant()
    search = Search(password)
    assert list(search.in_texts([("one", "two"), ("three", f"four {password}")])) == ["the password is in three"]
    sleeper = subprocess.Popen([sys.executable, "-c", "input()", password], stdin=subprocess.PIPE)
    try:
        assert any("the command line of" in found for found in search.in_command_lines())
    finally:
        sleeper.communicate(b"\n")
    assert list(search.in_command_lines()) == []
