"""Who may create functions and operators on the search_path has none of them run by a job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pgcopies import end_keepers, options_for
from planting import plant
from pyspark.sql import SparkSession

from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.postgres_connectivity import connect, connect_pinned
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings
from jobs.dbaccess.sql import TableName
from jobs.flows.extract import extracting
from jobs.flows.extract_files import FilesJob, run
from jobs.flows.load import load_dataframe
from jobs.flows.source import Wanted


@pytest.fixture
def planted(session: Session) -> Session:
    """A database with tables to load, and with more functions of the server's names than are of use."""
    session.run("CREATE TABLE t (a int PRIMARY KEY, b varchar)")
    session.run("CREATE TABLE by_name (a int, b varchar PRIMARY KEY) PARTITION BY LIST (b)")
    session.run("CREATE TABLE by_name_rest PARTITION OF by_name DEFAULT")
    session.run("CREATE TABLE child (a int REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
    session.run(
        "CREATE TABLE read AS SELECT n AS a, n::varchar AS b, n::numeric AS c, now() AS d, '{}'::jsonb AS e, "
        "'{1}'::int[] AS f "
        "FROM generate_series(1, 1000) AS n"
    )
    assert plant(session) > 60
    return session


def test_what_is_planted_would_run(planted: Session, database: Settings) -> None:
    """So that the other tests can fail."""
    for statement in ("SELECT hashtextextended('x', 0)", "SELECT 1 FROM t WHERE b = 'x'::varchar OR a = 1::oid"):
        planted.run("INSERT INTO t VALUES (1, 'y') ON CONFLICT DO NOTHING")
        with pytest.raises(DatabaseError, match="planted"):
            planted.run(statement)
    with connect_pinned(database, "pinned") as pinned:
        assert pinned.run("SELECT hashtextextended('x', 0) IS NOT NULL") == [[True]]


@pytest.mark.usefixtures("planted")
def test_no_mode_of_a_load_runs_what_is_planted(spark: SparkSession, database: Settings) -> None:
    rows = spark.range(0, 100, 1, 2).selectExpr("CAST(id AS int) AS a", "CAST(id AS string) AS b")
    for table, mode, keys in (
        ("t", "append", ()),
        ("t", "overwrite", ()),
        ("t", "upsert", ("a",)),
        ("t", "ignore", ("a",)),
        ("t", "ignore", ()),
        ("by_name", "upsert", ("b",)),
        ("new", "append", ()),
        ("new_with_key", "upsert", ("a",)),
    ):
        report = load_dataframe(
            rows, table=table, settings=database, mode=mode, keys=keys, load_id=f"{table} {mode} {keys}"
        )
        assert report.rows_staged == 100
        assert load_dataframe(
            rows, table=table, settings=database, mode=mode, keys=keys, load_id=f"{table} {mode} {keys}"
        ).already_loaded


@pytest.mark.parametrize("split_by", ["", "b"])
@pytest.mark.usefixtures("planted")
def test_no_extract_runs_what_is_planted(spark: SparkSession, database: Settings, split_by: str) -> None:
    wanted = Wanted(TableName("read"), split_by=split_by, unbounded="fit", parallelism=3)
    with connect_pinned(database, "held") as held, extracting(spark, held, database, wanted) as extraction:
        assert extraction.df.where("f[0] = 1").count() == 1000


@pytest.mark.usefixtures("planted")
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


def test_pgcopy_runs_nothing_that_is_planted(
    spark: SparkSession, planted: Session, database: Settings, tmp_path: Path
) -> None:
    pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")
    pgcopy = options_for(database, tmp_path)
    rows = spark.range(0, 100, 1, 2).selectExpr("CAST(id AS int) AS a", "CAST(id AS string) AS b")
    rows.write.format("pgcopy").options(**pgcopy, table="t").mode("append").save()
    assert spark.read.format("pgcopy").options(**pgcopy, table="t").load().count() == 100
    end_keepers(planted)


def test_triggers_and_checks_of_a_table_see_their_users_search_path(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run(
        "CREATE FUNCTION positive(n int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RETURN n > floor_of(); END$$"
    )
    session.run("CREATE FUNCTION floor_of() RETURNS int LANGUAGE sql AS 'SELECT -1'")
    session.run("CREATE DOMAIN checked AS int CHECK (positive(VALUE))")
    session.run("CREATE TABLE seen (a int)")
    session.run("CREATE TABLE t (a checked)")
    session.run(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN INSERT INTO seen VALUES (NEW.a); RETURN NEW; END$$"
    )
    session.run("CREATE TRIGGER note BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note()")
    rows = spark.range(0, 10, 1, 2).selectExpr("CAST(id AS int) AS a")
    for mode in ("append", "overwrite"):
        load_dataframe(rows, table="t", settings=database, mode=mode)
    assert session.run("SELECT count(*) FROM seen") == [[20]]


def test_a_marker_table_of_a_stranger_is_refused(spark: SparkSession, session: Session, database: Settings) -> None:
    """Its triggers would run as the loader."""
    stranger = f"stranger_{database.dbname}"
    session.run("DROP TABLE table_updates")
    session.run(f"CREATE ROLE {stranger} LOGIN PASSWORD 'secret'; GRANT CREATE ON SCHEMA public TO {stranger}")
    try:
        with connect(replace(database, user=stranger, password=lambda _: "secret"), "stranger") as theirs:
            theirs.run("CREATE TABLE table_updates (update_id text PRIMARY KEY, target_table text, inserted timestamp)")
        with pytest.raises(UsageError, match=f"public.table_updates belongs to {stranger}, who is neither"):
            load_dataframe(spark.range(1), table="t", settings=database)
    finally:
        session.run(f"DROP OWNED BY {stranger}; DROP ROLE {stranger}")
