"""Direct parts: each is in the table once, and a rerun copies what is missing, of the same input only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from spark_settings import spark_settings

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.report import LoadReport
from jobs.spark.plans.fingerprint import fingerprint

FILES, EACH = 10, 200


@pytest.fixture
def source(spark: SparkSession, tmp_path: Path) -> str:
    """Ten files, each of which is a part."""
    path = str(tmp_path / "source")
    spark.range(0, FILES * EACH, 1, FILES).selectExpr("CAST(id AS int) AS a").write.parquet(path)
    return path


@pytest.fixture(autouse=True)
def a_part_for_each_file(spark: SparkSession) -> Iterator[None]:
    with spark_settings(spark, {"spark.sql.files.openCostInBytes": str(128 * 1024 * 1024)}):
        yield


def make_table(spark: SparkSession, session: Session, source: str) -> None:
    """The table refuses a row of the last part."""
    rows = spark.read.parquet(source).selectExpr("a", "spark_partition_id() AS part")
    [[refused]] = rows.where(f"part = {FILES - 1}").limit(1).select("a").collect()
    session.run(f"CREATE TABLE t (a int, CONSTRAINT c CHECK (a <> {refused}))")


def load(rows: DataFrame, database: Settings, load_id: str = "x", **more: object) -> LoadReport:
    return load_dataframe(rows, table="t", settings=database, load_id=load_id, publish="parts", **more)  # type: ignore[arg-type]


def test_a_rerun_copies_only_the_parts_that_are_missing(
    spark: SparkSession, session: Session, database: Settings, source: str
) -> None:
    """One row is refused until its constraint is dropped: the other parts are there, and are copied once."""
    make_table(spark, session, source)
    with pytest.raises(LoadError, match="The server refused a row") as failed:
        load(spark.read.parquet(source), database, parallelism=1)
    there = (FILES - 1) * EACH
    assert session.run("SELECT count(*) FROM t") == [[there]]
    assert failed.value.hint.startswith(f"{there // EACH} of 10 parts, with {there:,} rows, are in public.t. Run it ag")
    assert session.run("SELECT count(*), sum(rows)::int FROM pgjobs_claims") == [[there // EACH, there]]
    session.run("ALTER TABLE t DROP CONSTRAINT c")
    report = load(spark.read.parquet(source), database)
    assert session.run("SELECT count(*), count(DISTINCT a) FROM t") == [[FILES * EACH, FILES * EACH]]
    assert (report.publish, report.rows_inserted, report.parts) == ("parts", FILES * EACH, 10)
    assert report.parts_kept == there // EACH
    assert report.bytes_copied <= 5 * EACH * (10 - report.parts_kept)
    assert session.run("SELECT (SELECT count(*) FROM pgjobs_claims), (SELECT count(*) FROM table_updates)") == [[0, 1]]
    assert load(spark.read.parquet(source), database).already_loaded
    tables = session.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    assert tables == [["pgjobs_claims"], ["t"], ["table_updates"]]


def test_another_input_is_not_mixed_with_what_is_there(
    spark: SparkSession, session: Session, database: Settings, source: str
) -> None:
    make_table(spark, session, source)
    with pytest.raises(LoadError):
        load(spark.read.parquet(source), database, parallelism=1)
    rows = spark.read.parquet(source)
    with pytest.raises(UsageError, match="what differs is the query, its columns or their types"):
        load(rows.where("a > 10"), database)
    otherwise_split = spark_settings(spark, {"spark.sql.files.openCostInBytes": "1"})
    with otherwise_split, pytest.raises(UsageError, match=r"what differs is .*how files are split"):
        load(spark.read.parquet(source), database)
    with pytest.raises(UsageError, match=r"what differs is .*options of Spark's reader"):
        load(spark.read.option("mergeSchema", "true").parquet(source), database)
    changed = next(Path(source).glob("*.parquet"))
    changed.touch()
    with pytest.raises(UsageError, match="what differs is the files"):
        load(spark.read.parquet(source), database)
    session.run("ALTER TABLE t DROP CONSTRAINT c")


def test_the_table_is_made_first_and_a_rerun_takes_it_for_the_same(
    spark: SparkSession, session: Session, database: Settings, source: str
) -> None:
    rows = spark.read.parquet(source)
    report = load(rows, database, column_types={"a": "int CHECK (a < 1000000)"}, metadata_columns={"at": "date"})
    assert (report.parts, report.parts_kept, report.rows_inserted) == (10, 0, FILES * EACH)
    assert session.run("SELECT count(*), count(at) FROM t") == [[FILES * EACH, 0]]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT a FROM v DISTRIBUTE BY a", "its rows come from a shuffle"),
        ("SELECT a FROM v WHERE rand() < 0.5", "it uses rand"),
        ("SELECT CAST(monotonically_increasing_id() AS int) AS a FROM v", "it uses monotonically_increasing_id"),
        ("SELECT /*+ COALESCE(2) */ a FROM v", "its plan has the step Repartition"),
        ("SELECT a FROM v WHERE a < (SELECT max(a) FROM v)", "it has a subquery"),
        ("SELECT a FROM cached", "it reads InMemoryRelation"),
    ],
)
def test_input_whose_parts_may_be_others_in_another_run_is_refused(
    spark: SparkSession, session: Session, database: Settings, source: str, query: str, reason: str
) -> None:
    session.run("CREATE TABLE t (a int)")
    spark = spark.newSession()
    spark.read.parquet(source).createOrReplaceTempView("v")
    if "FROM cached" in query:
        spark.sql("CACHE TABLE cached AS SELECT a FROM v")
    with pytest.raises(UsageError, match=reason):
        load(spark.sql(query), database)
    assert session.run("SELECT count(*) FROM t") == [[0]]


def test_what_is_refused_makes_neither_a_table_nor_a_column(
    spark: SparkSession, session: Session, database: Settings, source: str
) -> None:
    repeatable = spark.read.parquet(source)
    with pytest.raises(UsageError, match="it uses rand"):
        load(repeatable.where("rand() < 0.5"), database)
    assert session.value("SELECT to_regclass('t') IS NULL")
    session.run("CREATE TABLE t (a int)")
    with pytest.raises(UsageError, match="it uses rand"):
        load(repeatable.where("rand() < 0.5"), database, metadata_columns={"at": "date"})
    session.run("ALTER TABLE t SET UNLOGGED")
    with pytest.raises(UsageError, match="is unlogged"):
        load(repeatable, database, metadata_columns={"at": "date"})
    assert session.run("SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0") == [["a"]]


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        ("CREATE TABLE b (a int); CREATE VIEW t AS SELECT * FROM b", "is not a plain or partitioned table"),
        ("CREATE UNLOGGED TABLE t (a int)", "is unlogged, or has such partitions"),
        (
            "CREATE TABLE t (a int) PARTITION BY RANGE (a); CREATE UNLOGGED TABLE p PARTITION OF t DEFAULT",
            "is unlogged, or has such partitions",
        ),
    ],
)
def test_a_table_that_does_not_keep_rows_as_they_are_copied_is_refused(
    spark: SparkSession, session: Session, database: Settings, source: str, ddl: str, reason: str
) -> None:
    session.run(ddl)
    with pytest.raises(UsageError, match=rf"public\.t {reason}"):
        load(spark.read.parquet(source), database)


def test_a_load_of_which_parts_are_there_is_refused_in_any_other_way(
    spark: SparkSession, session: Session, database: Settings, source: str
) -> None:
    """It would copy those parts again."""
    make_table(spark, session, source)
    rows = spark.read.parquet(source)
    with pytest.raises(LoadError):
        load(rows, database, parallelism=1)
    session.run("ALTER TABLE t DROP CONSTRAINT c")
    there = session.run("SELECT count(*) FROM t")
    refused = "--publish parts has copied parts of the load 'x' into the table"
    for way in ("auto", "staged"):
        with pytest.raises(UsageError, match=refused):
            load_dataframe(rows, table="t", settings=database, load_id="x", publish=way)
    assert session.run("SELECT count(*) FROM t") == there


def test_settings_files_and_functions_on_which_rows_depend_are_the_same_or_refused(
    spark: SparkSession, session: Session, database: Settings, source: str
) -> None:
    make_table(spark, session, source)
    with pytest.raises(LoadError):
        load(spark.read.parquet(source), database, parallelism=1)
    there = session.run("SELECT count(*) FROM t")
    session.run("ALTER TABLE t DROP CONSTRAINT c")

    other = spark.newSession()
    for name in ("spark.sql.legacy.parquet.nanosAsLong", "spark.sql.parquet.int96RebaseModeInRead"):
        other.conf.set(name, "true" if "nanos" in name else "LEGACY")
        with pytest.raises(UsageError, match=f"what differs is .*{name}"):
            load(other.read.parquet(source), database)
        other.conf.unset(name)
    other.conf.set("spark.sql.ansi.enabled", str(spark.conf.get("spark.sql.ansi.enabled") == "false").lower())
    with pytest.raises(UsageError, match=r"what differs is .*spark\.sql\.ansi\.enabled"):
        load(other.read.parquet(source), database)

    of_europe = replace(database, startup=(*database.startup, ("DateStyle", "SQL, DMY")))  # 01/02 is another day there
    with pytest.raises(UsageError, match="what differs is the server's DateStyle"):
        load(spark.read.parquet(source), of_europe)

    stale = spark.read.parquet(source)
    assert stale.count()
    next(Path(source).glob("*.parquet")).touch()
    with pytest.raises(UsageError, match="1 of the 10 files of the DataFrame have changed since Spark listed them"):
        load(stale, database)
    assert session.run("SELECT count(*) FROM t") == there


def test_a_setting_that_is_set_to_its_default_is_as_one_that_is_not_set(spark: SparkSession, source: str) -> None:
    """The default of a setting may be the value of another one."""
    other = spark.newSession()

    def read_with(**settings: str) -> tuple[tuple[str, str], ...]:
        names = {f"spark.sql.{name.replace('__', '.')}": value for name, value in settings.items()}
        with spark_settings(other, names):
            lines = other.read.parquet(source)
            return fingerprint(lines, lines.rdd, FILES, ["a"])

    unset = read_with()
    assert read_with(caseSensitive="FALSE", legacy__parquet__nanosAsLong="false") == unset
    assert read_with(caseSensitive="true") != unset
    assert read_with(optimizer__excludedRules="") != unset
    assert read_with(of__nobody="1") != read_with(of__nobody="2")

    of_both, of_some = "parquet__filterPushdown__string__startsWith", "parquet__filterPushdown__stringPredicate"
    assert read_with(**{of_some: "true"}) == unset
    assert read_with(**{of_both: "false", of_some: "true"}) != read_with(**{of_both: "false"})
    assert read_with(**{of_both: "false", of_some: "false"}) == read_with(**{of_both: "false"})


def test_what_needs_one_transaction_of_the_whole_load_is_refused(spark: SparkSession, database: Settings) -> None:
    rows = spark.range(1)
    with pytest.raises(UsageError, match="the mode is overwrite"):
        load(rows, database, mode="overwrite")
    with pytest.raises(UsageError, match="could be verified"):
        load(rows, database, verify=True)
    with pytest.raises(UsageError, match="for scripts to be part of"):
        load(rows, database, after_sql="SELECT 1")
    with pytest.raises(UsageError, match="needs a load id"):
        load_dataframe(rows, table="t", settings=database, publish="parts")


def test_the_last_of_many_columns_counts_in_any_session(spark: SparkSession) -> None:
    """Plans leave out columns of a long list by the settings of the active session, which need not be the query's."""

    def query(last: int) -> str:
        columns = [f"id AS c{number}" for number in range(40)]
        rows = spark.newSession().range(3).selectExpr(*columns, f"id + {last} AS z")
        return dict(fingerprint(rows, rows.rdd, 1, ()))["the query, its columns or their types"]

    assert query(1) != query(2)
    assert query(1) == query(1)


def test_a_function_that_ignores_errors_makes_another_query(spark: SparkSession) -> None:
    """Spark's optimizer shows try_add(a, b) as a + b, and get(a, 1) as a[1]."""
    rows = spark.range(3)

    def query(text: str) -> str:
        chosen = rows.selectExpr(f"{text} AS a")
        return dict(fingerprint(chosen, chosen.rdd, 1, ()))["the query, its columns or their types"]

    assert query("try_add(id, id)") != query("id + id")
    assert query("get(array(id), 1)") != query("array(id)[1]")
    assert query("try_divide(id, id)") == query("try_divide(id, id)")


def test_the_files_of_a_partitioned_table_of_the_catalog_are_found(spark: SparkSession, tmp_path: Path) -> None:
    """Its index lists files only when partitions are asked for. A path may have characters that a pattern has."""
    spark.sql(f"CREATE TABLE of_catalog (a int, k int) USING parquet PARTITIONED BY (k) LOCATION '{tmp_path}/[x] y'")
    try:
        spark.sql("INSERT INTO of_catalog VALUES (1, 1), (2, 2)")
        rows = spark.table("of_catalog")

        def files() -> str:
            return dict(fingerprint(rows, rows.rdd, 1, ()))["the files (paths, sizes, times)"]

        before = files()
        assert before == files()
        spark.sql("INSERT INTO of_catalog VALUES (3, 2)")
        rows = spark.table("of_catalog")
        assert before != files()
    finally:
        spark.sql("DROP TABLE of_catalog")


def test_functions_of_the_jvm_that_are_not_sparks_are_refused(spark: SparkSession) -> None:
    """Their code may change between two runs, and is not part of a plan. Python's are steps that are refused."""
    spark = spark.newSession()
    register_of_java(spark, "own")
    rows = spark.range(3)
    fingerprint(rows.selectExpr("upper(CAST(id AS string)) AS a"), rows.rdd, 1, ())
    with pytest.raises(UsageError, match="it uses a function of your own"):
        fingerprint(rows.selectExpr("own(CAST(id AS string)) AS a"), rows.rdd, 1, ())


def register_of_java(spark: SparkSession, name: str) -> None:
    """Register String.toUpperCase as a function of the user's own. Spark sees neither its code nor a change of it."""
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - PySpark registers only classes by their names
    string, invoke = jvm.java.lang.Class.forName("java.lang.String"), jvm.java.lang.invoke
    upper = invoke.MethodHandles.publicLookup().findVirtual(string, "toUpperCase", invoke.MethodType.methodType(string))
    interface = jvm.java.lang.Class.forName("org.apache.spark.sql.api.java.UDF1")
    function = invoke.MethodHandleProxies.asInterfaceInstance(interface, upper)
    java: Any = spark._jsparkSession  # noqa: SLF001 - likewise
    java.udf().register(name, function, java.parseDataType('"string"'))
