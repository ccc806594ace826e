"""Files that get other contents while they are read are told, and a load of them publishes nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from submitted import until

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from jobs.spark.plans.listed_files import overwritten


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three files with a line each."""
    folder = tmp_path / "lines, {of} [t*"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number};=.txt").write_text(f"{number}\n")
    return folder


def escaped(folder: Path) -> str:
    return "".join(f"\\{letter}" if letter in "{}[]*?," else letter for letter in str(folder))


def test_files_that_were_overwritten_are_told_and_those_that_came_or_went_are_not(
    spark: SparkSession, folder: Path
) -> None:
    lines = spark.read.text(escaped(folder)).where("value <> 'x'")
    assert overwritten(lines) == []
    (folder / "0;=.txt").unlink()
    (folder / "new.txt").write_text("new\n")
    (folder / "1;=.txt").write_text("1\nand more\n")
    os.utime(folder / "2;=.txt", (1, 1))
    assert [path.rpartition("/")[2] for path in overwritten(lines)] == ["1;=.txt", "2;=.txt"]


def test_folders_that_are_gone_and_rows_that_are_of_no_file_are_none(spark: SparkSession, folder: Path) -> None:
    lines = spark.read.text(escaped(folder))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert overwritten(lines) == []
    assert overwritten(spark.range(3).toDF("a")) == []


def test_a_load_of_files_that_were_overwritten_is_not_published(
    spark: SparkSession, folder: Path, database: Settings, session: Session
) -> None:
    session.run("CREATE TABLE t (value text)")
    lines = spark.read.text(escaped(folder))
    (folder / "1;=.txt").write_text("other\n")
    with pytest.raises(LoadError, match=r"1 file changed while the load ran, such as .*1;=.txt"):
        load_dataframe(lines, table="t", settings=database, publish="staged")
    assert session.run("SELECT * FROM t") == []


def test_parts_of_files_that_were_overwritten_are_not_reported_as_loaded(
    spark: SparkSession, folder: Path, database: Settings, session: Session
) -> None:
    session.run("CREATE TABLE t (value text)")
    with connect(database, "holder") as holder:
        holder.run("BEGIN; LOCK TABLE t IN SHARE MODE")

        def overwrite() -> None:
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass"
            until(lambda: session.run(waiting), "a part")
            (folder / "1;=.txt").write_text("other\n")
            holder.run("COMMIT")

        other = threading.Thread(target=overwrite)
        other.start()
        with pytest.raises(LoadError, match="1 file changed while the load ran"):
            load_dataframe(spark.read.text(escaped(folder)), table="t", settings=database, load_id="x", publish="parts")
        other.join()
    assert session.run("SELECT * FROM table_updates") == []
