"""Who may create functions and operators on the search_path has none of them run by a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from pgcopies import end_sidecars, options_for
from planting import plant
from pyspark.sql import DataFrame, SparkSession
from streams import run_to_the_end

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.postgres_connectivity import connect, connect_pinned
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.compare import compare_dataframe
from jobs.flows.extract.dataframe import extracting
from jobs.flows.extract.job import FilesJob, run
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.dataframe import load_dataframe

spark_4 = pytest.mark.skipif(find_spec("pyspark.sql.datasource") is None, reason="Python data sources are Spark 4's")

TABLES = """
CREATE TABLE t (a int PRIMARY KEY, b varchar);
CREATE TABLE by_name (a int, b varchar PRIMARY KEY) PARTITION BY LIST (b);
CREATE TABLE by_name_rest PARTITION OF by_name DEFAULT;
CREATE TABLE child (a int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE read AS SELECT n AS a, n::varchar AS b, n::numeric AS c, now() AS d, '{}'::jsonb AS e, '{1}'::int[] AS f
    FROM generate_series(1, 1000) AS n;
CREATE TABLE copy (LIKE t INCLUDING ALL);
CREATE TABLE unkeyed (a int, b varchar, gone timestamptz);
INSERT INTO unkeyed VALUES (1, 'missing', NULL), (1, '1', NULL)
"""


@pytest.fixture(scope="module")
def template(server: Settings, template: str) -> Iterator[str]:
    """A database with tables, and with more functions of the server's names than are of use."""
    name = f"{template}_planted"
    with connect(server, "planting") as admin:
        admin.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        with connect(replace(server, dbname=name), "planting") as session:
            session.run(TABLES)
            assert plant(session) > 60
        yield name
        admin.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT hashtextextended('x', 0)",
        "SELECT 1 FROM t WHERE b = 'x'::varchar OR a = 1::oid",
        "SELECT 1 FROM t WHERE b LIKE 'y'::varchar",
        "SELECT replace(b, 'x', 'y') FROM t",
        "SELECT max(b) FROM t",
        "SELECT format(b, b, b) FROM t",
        "SELECT b || b FROM t",
    ],
)
def test_what_is_planted_would_run(session: Session, database: Settings, statement: str) -> None:
    """So that the other tests can fail."""
    session.run("INSERT INTO t VALUES (1, 'y')")
    with pytest.raises(DatabaseError, match="planted"):
        session.run(statement)
    with connect_pinned(database, "pinned") as pinned:
        pinned.run(statement.replace("FROM t", "FROM public.t"))


@pytest.mark.parametrize(("statement", "told"), [("SELECT 'x'::text", "planted"), ("SELECT * FROM pg_class", "zero")])
def test_types_and_relations_that_are_planted_would_be_found_by_a_path_that_names_them_first(
    session: Session, statement: str, told: str
) -> None:
    session.run("SET search_path = public, pg_catalog")
    with pytest.raises(DatabaseError, match=told):
        session.run(statement)


def test_no_mode_of_a_load_runs_what_is_planted(spark: SparkSession, database: Settings) -> None:
    rows = rows_of(spark)
    for table, mode, keys in (
        ("t", "append", ()),
        ("t", "overwrite", ()),
        ("t", "upsert", ("a",)),
        ("t", "ignore", ("a",)),
        ("t", "ignore", ()),
        ("by_name", "upsert", ("b",)),
        ("unkeyed", "upsert", ("b",)),
        ("versions", "history", ("a",)),
        ("new", "append", ()),
        ("new_with_key", "upsert", ("a",)),
    ):
        report = load_dataframe(
            rows,
            table=table,
            settings=database,
            mode=mode,
            keys=keys,
            load_id=f"{table} {mode} {keys}",
            verify=mode != "history",
            delete_missing=table == "unkeyed",
            max_delete_share=0.5 if table == "unkeyed" else 1,
        )
        assert report.rows_staged == 100
        assert load_dataframe(
            rows, table=table, settings=database, mode=mode, keys=keys, load_id=f"{table} {mode} {keys}"
        ).already_loaded


@pytest.mark.parametrize("split_by", ["", "b"])
def test_no_extract_runs_what_is_planted(spark: SparkSession, database: Settings, split_by: str) -> None:
    wanted = Wanted(TableName("read"), split_by=split_by, unbounded="fit", parallelism=3)
    connector = Connector(database, "extract", "held")
    with connector.open() as held, extracting(spark, held, connector, wanted) as extraction:
        assert extraction.df.where("f[0] = 1").count() == 1000


def test_no_incremental_extract_runs_what_is_planted(spark: SparkSession, database: Settings, tmp_path: Path) -> None:
    job = FilesJob(
        Wanted(TableName("read")),
        database,
        str(tmp_path / "out"),
        write_mode="append",
        ordinal_column="a",
        watermark_id="w",
    )
    assert [run(job, lambda: spark).rows for _ in range(2)] == [1000, 0]


def rows_of(spark: SparkSession) -> DataFrame:
    return spark.range(0, 100, 1, 2).selectExpr("CAST(id AS int) AS a", "CAST(id AS string) AS b")


@spark_4
def test_pgcopy_runs_nothing_that_is_planted(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    pgcopy = options_for(database, tmp_path)
    for mode, more in (
        ("append", {"mode": "upsert", "keys": "a"}),
        ("append", {"mode": "ignore", "keys": "a", "dedupeOrder": "b desc"}),
        ("overwrite", {}),
    ):
        rows_of(spark).write.format("pgcopy").options(**pgcopy, table="t", **more).mode(mode).save()
    for options in ({"table": "t", "splitBy": "b"}, {"query": "SELECT a, b FROM t"}):
        read = spark.read.format("pgcopy").options(**pgcopy, **options, filter="a IS NOT NULL", parallelism="3").load()
        assert read.count() == 100
    end_sidecars(session)


@spark_4
def test_streams_run_nothing_that_is_planted(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    pgcopy = options_for(database, tmp_path)
    session.run("INSERT INTO t SELECT n, n::text FROM pg_catalog.generate_series(1, 10) AS n")
    for written in (10, 20):
        source = spark.readStream.format("pgcopy").options(**pgcopy, table="t").load()
        run_to_the_end(source, pgcopy, tmp_path / "at")
        [[copied]] = session.run("SELECT pg_catalog.count(*) FROM copy")
        assert copied == written
        session.run(
            "INSERT INTO t SELECT n, n::text FROM pg_catalog.generate_series(11, 20) AS n ON CONFLICT DO NOTHING"
        )


@pytest.mark.parametrize(("key", "sample"), [("a", 1.0), ("a", 0.5), ("b", 1.0)])
def test_no_comparison_runs_what_is_planted(
    spark: SparkSession, session: Session, database: Settings, key: str, sample: float
) -> None:
    session.run("INSERT INTO t SELECT n, n::text FROM pg_catalog.generate_series(0, 99) AS n")
    compared = compare_dataframe(
        rows_of(spark), table="t", settings=database, keys=(key,), filter="a IS NOT NULL", sample=sample, parallelism=2
    )
    assert compared.collect() == []
