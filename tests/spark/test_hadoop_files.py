"""Files by Hadoop: whole, in place of the one before, on whatever has its own way to write one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from libpq import environment
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.load_table import main
from jobs.spark import hadoop_files


@pytest.fixture
def elsewhere(spark: SparkSession, tmp_path: Path) -> Iterator[Path]:
    """What viewfs://bucket/ and s3://bucket/ show: Hadoop's own view of a folder, under these schemes."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    link, views = f"file://{folder}", "org.apache.hadoop.fs.viewfs"
    conf = {
        "fs.viewfs.mounttable.bucket.link./reports": link,
        "fs.s3.impl": f"{views}.ViewFileSystemOverloadScheme",
        "fs.viewfs.overload.scheme.target.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        "fs.s3.impl.disable.cache": "true",
        "fs.viewfs.impl.disable.cache": "true",
        "fs.viewfs.ignore.port.in.mount.table.name": "true",
    }
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - PySpark has no public access
    for name, value in conf.items():
        hadoop.set(name, value)
    yield folder
    for name in conf:
        hadoop.unset(name)


@pytest.mark.parametrize("scheme", ["viewfs", "s3"])
def test_a_file_is_written_whole_in_place_of_the_one_before(elsewhere: Path, scheme: str) -> None:
    for content in (b"a" * 100, b"\xc3\xa4"):
        hadoop_files.replace(f"{scheme}://bucket/reports/today/a b%20.json", content)
        assert (elsewhere / "today" / "a b%20.json").read_bytes() == content
    assert [path.name for path in (elsewhere / "today").iterdir() if path.suffix != ".crc"] == ["a b%20.json"]


def test_a_load_reports_to_s3_whether_it_succeeds_or_fails(
    elsewhere: Path, database: Settings, session: Session, tmp_path: Path
) -> None:
    source = tmp_path / "t.csv"
    source.write_text("id\n1\n")
    arguments = ["--source", str(source), "--format", "csv", "--option", "header=true", "--load-id", "t/1"]
    report = ["--report", "s3://bucket/reports/report.json"]
    assert main([*arguments, "--table", "t", *report], environment(database)) == 0
    written = json.loads((elsewhere / "report.json").read_text())
    assert (written["status"], written["rows_inserted"]) == ("succeeded", 1)
    assert main([*arguments, "--table", "other", *report], environment(database)) == 2
    written = json.loads((elsewhere / "report.json").read_text())
    assert (written["status"], written["error"]["type"]) == ("failed", "UsageError")
    assert session.run("SELECT id FROM t") == [["1"]]


def test_a_load_whose_report_cannot_be_written_is_done_and_says_so(
    spark: SparkSession,  # noqa: ARG001 - the job finds it
    database: Settings,
    session: Session,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = tmp_path / "t.csv"
    source.write_text("id\n1\n")
    arguments = ["--source", str(source), "--format", "csv", "--option", "header=true", "--table", "t"]
    with caplog.at_level(logging.WARNING):
        assert main([*arguments, "--report", "nowhere://bucket/report.json"], environment(database)) == 0
    [warning] = [message for message in caplog.messages if "The report" in message]
    assert warning.startswith("The job succeeded. The report cannot be written to nowhere://bucket/report.json: ")
    assert 'No FileSystem for scheme "nowhere"' in warning
    assert '"rows_inserted": 1' in warning
    assert session.run("SELECT id FROM t") == [["1"]]
