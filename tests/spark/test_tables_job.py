"""Many tables in one extract: each in its folder or as a DataFrame, all in one snapshot, and refused together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from libpq import environment
from lineage_server import lineage_server
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.session import Session
from jobs.extract_table import main
from jobs.flows.extract.dataframe import held
from jobs.flows.extract.tables_job import TablesJob, extract_tables, run
from jobs.flows.extract.tables_plan import WantedTables

CREATE = """
CREATE SCHEMA s; CREATE TABLE s.a AS SELECT n AS id, 'x' AS x FROM generate_series(1, 3) n;
CREATE TABLE s."_b/c" AS SELECT 4 AS id; CREATE TABLE s.p (id int) PARTITION BY LIST (id);
CREATE TABLE s.p1 PARTITION OF s.p DEFAULT; INSERT INTO s.p VALUES (5), (6); CREATE TABLE s.old (id int);
CREATE VIEW s.v AS SELECT 1 AS id
"""


def ids(spark: SparkSession, folder: Path) -> list[int]:
    return sorted(row.id for row in spark.read.parquet(str(folder)).collect())


def test_each_table_is_in_its_folder_and_in_the_one_report(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run(CREATE)
    target = tmp_path / "files"
    wanted = ["--tables", "s.*", "--exclude-tables", "s.old", "--target", str(target)]
    with lineage_server() as server:
        told = ["--report", str(tmp_path / "report.json"), "--lineage-url", server.url]
        assert main([*wanted, *told], environment(database)) == 0
    assert f"extracted 3 tables with 6 rows to {target} in " in capsys.readouterr().out
    assert sorted(folder.name for folder in (target / "s").iterdir()) == ["%5Fb%2Fc", "a", "p"]
    assert [ids(spark, target / "s" / name) for name in ("%5Fb%2Fc", "a", "p")] == [[4], [1, 2, 3], [5, 6]]
    report = json.loads((tmp_path / "report.json").read_text())
    assert [(one["source"], one["rows"]) for one in report["tables"]] == [("s._b/c", 1), ("s.a", 3), ("s.p", 2)]
    assert {one["snapshot"] for one in report["tables"]} == {report["snapshot"]}
    assert [one["name"].split(".", 1)[1] for one in server.events[1]["inputs"]] == ["s._b/c", "s.a", "s.p"]
    session.run("DELETE FROM s.a WHERE id > 1")
    assert main(wanted, environment(database)) == 2
    assert "s/%5Fb%2Fc exists, and 2 more of 3 folders. Nothing was read." in capsys.readouterr().err
    assert main([*wanted, "--write-mode", "overwrite"], environment(database)) == 0
    assert ids(spark, target / "s" / "a") == [1]


def test_what_spark_could_not_write_of_any_table_is_refused_before_the_first_is_read(
    session: Session, database: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run("CREATE TABLE t1 (id int); CREATE TABLE t2 (a int[], b text[]); CREATE TABLE t3 (a int[])")
    wanted = ["--tables", "t?", "--format", "csv", "--target", str(tmp_path / "files")]
    assert main(wanted, environment(database)) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert "public.t2 has arrays, which CSV cannot hold: a, b. public.t3 has arrays" in line
    assert not (tmp_path / "files").exists()


def test_what_text_files_cannot_nest_is_text_in_them_as_in_an_extract_of_one_table(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run("CREATE TYPE pair AS (a int, b text); CREATE TABLE t1 (id int, p pair)")
    session.run("INSERT INTO t1 VALUES (1, (2, 'x'))")
    for file_format in ("csv", "json"):
        target = tmp_path / file_format
        wanted = ["--tables", "t1", "--format", file_format, "--option", "lineSep=\n", "--target", str(target)]
        assert main(wanted, environment(database)) == 0
    assert [row.value for row in spark.read.text(str(tmp_path / "csv/public/t1")).collect()] == ['1,"(2,x)"']
    assert spark.read.json(str(tmp_path / "json/public/t1")).collect() == [(1, "(2,x)")]


@pytest.mark.usefixtures("spark")
def test_columns_that_spark_takes_for_one_are_refused_before_the_first_table_is_read(
    session: Session, database: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run('CREATE TABLE t1 (id int); CREATE TABLE t2 (a int, b int, "A" int)')
    assert main(["--tables", "t?", "--target", str(tmp_path / "files")], environment(database)) == 2
    assert "public.t2 has columns that differ only in case, which Spark takes for the same: a, A." in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "files").exists()


def test_an_error_in_a_table_names_it(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run("CREATE SCHEMA s; CREATE TABLE s.a (d date); CREATE TABLE s.b AS SELECT date 'infinity' AS d")
    job = TablesJob(WantedTables(("s.*",)), database, str(tmp_path))
    with pytest.raises(ExtractError, match=r'^s\.b: .*column "d" holds a value'):
        run(job, lambda: spark)


def test_dataframes_of_many_tables_are_of_one_snapshot(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE items AS SELECT 1 AS id")
    frames = extract_tables(spark, tables="*s", exclude=["*.table_updates"], settings=database)
    session.run("INSERT INTO orders VALUES (2); INSERT INTO items VALUES (2)")
    assert {name: [row.id for row in df.collect()] for name, df in frames.items()} == {
        "public.items": [1],
        "public.orders": [1],
    }
    held.close()  # what a process does at its end
