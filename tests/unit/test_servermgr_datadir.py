"""Files in the data directory."""

from __future__ import annotations

from pathlib import Path

from servermgr import datadir


def test_a_new_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    with datadir.new_file(tmp_path / "log", None) as file:
        file.write(b"new")
    assert (tmp_path / "victim").read_text() == "kept"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
