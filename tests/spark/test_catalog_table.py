"""Loads of what Spark's catalogs hold: tables and views by name, read once, and refused with a way out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from libpq import environment
from lineage_server import lineage_server
from pyspark.sql import DataFrame, SparkSession
from spark_settings import spark_settings

from jobs.compare_table import DIFFERENT
from jobs.compare_table import main as compare_table
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.catalog_table import read, translated
from jobs.flows.load.files import malformed_translated
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.run import run
from jobs.flows.load.sources import load
from jobs.flows.load.stage import Copying
from jobs.flows.report import LoadReport, SourceTable
from jobs.flows.source_tables import CatalogTable
from jobs.load_release import main as load_release
from jobs.load_table import main as load_table

Load = Callable[..., LoadReport]


@pytest.fixture
def catalog(spark: SparkSession) -> Iterator[SparkSession]:
    """A database of Spark's catalog, `shop`, which is dropped with its tables."""
    spark.sql("CREATE DATABASE shop")
    yield spark
    spark.sql("DROP DATABASE shop CASCADE")


@pytest.fixture
def load_of(spark: SparkSession, database: Settings) -> Load:
    def load_table_of(name: str, select: str = "", **more: object) -> LoadReport:
        job = LoadJob(TableName("t"), database, str(more.pop("load_id", new_load_id())), **more)  # type: ignore[arg-type]
        return load(job, CatalogTable(name, select=select), lambda: spark)

    return load_table_of


def rows(session: Session, table: str = "t") -> list[list[object]]:
    return session.run(f"SELECT * FROM {table} ORDER BY 1")


def test_a_partitioned_table_and_a_view_are_loaded_by_their_names(
    catalog: SparkSession, load_of: Load, session: Session
) -> None:
    """The values of a partition are those of the catalog, also where a folder's text differs from the number."""
    catalog.sql("CREATE TABLE shop.orders (id int, name string, code int) USING parquet PARTITIONED BY (code)")
    catalog.sql("INSERT INTO shop.orders VALUES (1, 'a', 7), (2, 'b', 8)")
    catalog.sql("CREATE VIEW shop.of_seven AS SELECT id, code FROM shop.orders WHERE code = 7")
    report = load_of("spark_catalog.shop.orders")
    assert rows(session) == [[1, "a", 7], [2, "b", 8]]
    assert report.source_table is not None
    [place] = report.source_table.places
    assert (report.source_table.version, Path(place).name) == ("", "orders")
    session.run("DROP TABLE t")
    assert load_of("shop.of_seven").source_table == SourceTable("shop.of_seven", places=(place,))
    assert rows(session) == [[1, 7]]
    session.run("DROP TABLE t")
    load_of("shop.of_seven", "SELECT id * 10 AS ten FROM source")
    assert rows(session) == [[10]]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("shop.nothing", r"finds no table shop\.nothing\. The catalogs of this session are .*spark_catalog"),
        ("nowhere.t", r"finds no table nowhere\.t"),
        ("spark_catalog.shop.nothing", r"finds no table spark_catalog\.shop\.nothing"),
        ("lake.shop.t", r"no catalog lake for lake\.shop\.t\. The catalogs of this session are .*docs/lakes\.md"),
        ("broken.shop.t", r"The catalog broken needs org\.no\.Catalog, which Spark does not have\. Submit with"),
        ("shop.t; DROP TABLE x", r"finds no table shop\.t; DROP TABLE x"),
    ],
)
def test_a_table_that_is_not_there_is_told_with_the_catalogs_that_are(
    catalog: SparkSession, name: str, told: str
) -> None:
    broken = spark_settings(catalog, {"spark.sql.catalog.broken": "org.no.Catalog"})
    with broken, pytest.raises(UsageError, match=told):
        read(catalog, CatalogTable(name))


def test_a_view_of_a_table_that_is_gone_is_told_with_its_name(catalog: SparkSession) -> None:
    catalog.sql("CREATE TABLE shop.t (id int) USING parquet")
    catalog.sql("CREATE VIEW shop.of_t AS SELECT * FROM shop.t")
    catalog.sql("DROP TABLE shop.t")
    with pytest.raises(UsageError, match=r"shop\.of_t reads .*`shop`\.`t`, which Spark does not find"):
        read(catalog, CatalogTable("shop.of_t"))


def test_a_table_of_a_format_that_spark_lacks_is_told_with_a_way_out(catalog: SparkSession) -> None:
    with pytest.raises(Exception, match="delta") as caught:
        catalog.read.format("delta").load("/nowhere")
    told = str(translated(catalog, ("shop", "t"), caught.value))
    assert told.startswith("shop.t is a table of delta, which Spark cannot read here. Submit with the jar")


def test_only_tables_with_versions_are_read_at_one(catalog: SparkSession) -> None:
    catalog.sql("CREATE TABLE shop.t (id int) USING parquet")
    with pytest.raises(UsageError, match=r"shop\.t has no versions.* Leave out --source-version"):
        read(catalog, CatalogTable("shop.t", "3"))


def test_a_table_that_is_replaced_during_a_load_fails_it_and_nothing_is_loaded(
    catalog: SparkSession, load_of: Load, session: Session, database: Settings
) -> None:
    """A table of plain files has no versions: those that were listed are gone. A rerun loads what is there then."""
    catalog.sql("CREATE TABLE shop.t (id int) USING parquet")
    catalog.sql("INSERT INTO shop.t VALUES (1), (2)")
    session.run("CREATE TABLE t (id int)")

    def read_before_it_is_replaced() -> DataFrame:
        df, _ = read(catalog, CatalogTable("shop.t"))
        assert df.count() == 2
        catalog.newSession().sql("INSERT OVERWRITE shop.t VALUES (3)")
        return df

    job, gone = LoadJob(TableName("t"), database, "x"), r"A file of the input is gone: \S+\.parquet\. .*Run it again"
    with pytest.raises(LoadError, match=gone), malformed_translated():
        run(job, read_before_it_is_replaced)
    assert rows(session) == []
    load_of("shop.t", load_id="x")
    assert rows(session) == [[3]]


def test_a_rerun_of_a_table_that_was_written_to_is_another_input(
    catalog: SparkSession, load_of: Load, session: Session
) -> None:
    catalog.sql("CREATE TABLE shop.t (id int) USING parquet")
    catalog.sql("INSERT INTO shop.t SELECT /*+ COALESCE(1) */ CAST(id AS int) FROM range(1000)")
    catalog.sql("INSERT INTO shop.t VALUES (1000)")
    session.run("CREATE DOMAIN d AS int CHECK (VALUE <> 1000); CREATE TABLE t (id d)")
    kept = {"load_id": "x", "keep_staging": 3600.0, "copying": Copying(1)}
    with pytest.raises(LoadError, match=r"d_check.* 1 of 2 parts, with 1,000 rows, are kept"):
        load_of("shop.t", **kept)
    catalog.sql("INSERT INTO shop.t VALUES (9)")
    with pytest.raises(UsageError, match="the files"):
        load_of("shop.t", **kept)


def test_the_jobs_take_a_table_and_say_what_they_read(
    catalog: SparkSession,
    database: Settings,
    session: Session,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    catalog.sql("CREATE TABLE shop.t (id int, name string) USING parquet")
    catalog.sql("INSERT INTO shop.t VALUES (1, 'a'), (2, 'b')")
    session.run("CREATE TABLE t (id int, name text); CREATE TABLE other (id int, name text)")
    environ, source = environment(database), ["--source-table", "shop.t"]
    plan, report = str(tmp_path / "plan.json"), str(tmp_path / "report.json")
    assert load_table([*source, "--table", "public.t", "--dry-run", "--report", plan], environ) == 0
    assert "\nReads shop.t.\n" in capsys.readouterr().out
    with lineage_server() as lineage:
        flags = ["--table", "public.t", "--report", report, "--lineage-url", lineage.url]
        assert load_table([*source, *flags], environ) == 0
        [place] = json.loads(Path(report).read_text())["source_table"]["places"]
        assert lineage.kinds == ["START", "COMPLETE"]
        [read_from] = lineage.events[-1]["inputs"]
        assert (read_from["namespace"], read_from["name"]) == ("file", re.sub("^file:", "", place))
    assert json.loads(Path(plan).read_text())["source_table"]["places"] == [place]
    assert "\n  read: shop.t" in capsys.readouterr().out
    assert compare_table([*source, "--table", "t", "--keys", "id"], environ) == 0
    session.run("UPDATE t SET name = 'x' WHERE id = 2")
    assert compare_table([*source, "--table", "t", "--keys", "id"], environ) == DIFFERENT
    manifest = tmp_path / "release.json"
    manifest.write_text(json.dumps({"tables": [{"table": "other", "source-table": "shop.t"}]}))
    assert load_release(["--manifest", str(manifest)], environ) == 0
    assert rows(session, "other") == [[1, "a"], [2, "b"]]
    assert load_table(["--source-table", "shop.none", "--table", "t"], environ) == 2
    assert "error: Spark finds no table shop.none. The catalogs of this session" in capsys.readouterr().err
