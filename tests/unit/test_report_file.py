"""Where a report goes: the file is there before and after, whole, and what cannot be is refused before the job."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from jobs.cli.report_file import ReportFile
from jobs.dbaccess.errors import JobError, UsageError


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("report.json", "report.json"),
        ("/tmp/a b%20.json", "/tmp/a b%20.json"),
        ("C:\\reports\\a.json", "C:\\reports\\a.json"),
        ("file:/tmp/a.json", "/tmp/a.json"),
        ("file:///tmp/a%20.json", "/tmp/a%20.json"),
        ("FILE:///tmp/a.json", "/tmp/a.json"),
        ("s3://bucket/a.json", None),
        ("hdfs:/a.json", None),
    ],
)
def test_a_path_without_a_scheme_is_local(path: str, local: str | None) -> None:
    assert ReportFile(path).local == (None if local is None else Path(local))


def test_a_report_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    file, link = tmp_path / "report.json", tmp_path / "link.json"
    link.symlink_to(file)
    for text in ("a" * 100, "ä"):
        ReportFile(str(link)).write_text(text)
        assert file.read_text(encoding="utf-8") == text
    assert sorted(tmp_path.iterdir()) == [link, file]
    assert link.is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: ReportFile(f"file:{pipe}").write_text("done"))
    writer.start()
    assert pipe.read_text() == "done"
    writer.join()
    assert pipe.is_fifo()


@pytest.mark.parametrize("path", ["", ".", "/", "/none/report.json", "s3://bucket", "s3://bucket/", "s3://bucket/a/"])
def test_a_place_where_no_report_can_be_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="--report"):
        ReportFile(path).check()


def test_a_report_that_cannot_be_written_names_the_place_and_the_reason() -> None:
    with pytest.raises(JobError, match=r"^The report cannot be written to /none/a\.json: No such file or directory"):
        ReportFile("/none/a.json").write_text("{}")
