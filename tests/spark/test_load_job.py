"""The load as a function: what it promises about its input, its table, its id and its failures."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from submitted import until

from jobs.aws.errors import AwsError
from jobs.cli.run import run_job
from jobs.dbaccess import locks
from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.conninfo.settings import Login, Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.copying.claims import end_earlier_runs
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.load.dry_run.data import Rows
from jobs.flows.load.dry_run.foresee import foresee
from jobs.flows.load.job import LoadJob
from jobs.flows.load.run import run
from jobs.flows.report import LoadReport


def public_tables(session: Session) -> set[str]:
    return {name for [name] in session.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def numbers(spark: SparkSession, count: int, parts: int = 2) -> DataFrame:
    return spark.range(0, count, 1, parts).selectExpr("CAST(id AS int) AS a", "CAST(id AS string) AS b")


def test_the_report_counts_what_was_loaded(spark: SparkSession, session: Session, database: Settings) -> None:
    report = load_dataframe(numbers(spark, 1000, parts=3), table="t", settings=database, load_id="x")
    assert session.run("SELECT count(*), sum(a) FROM t") == [[1000, 499500]]
    size = sum(len(f"{i}\t{i}\n") for i in range(1000))
    assert (report.rows_read, report.rows_staged, report.rows_inserted) == (1000, 1000, 1000)
    assert (report.bytes_copied, report.parts, report.attempts_discarded) == (size, 3, 0)
    assert (report.load_id, report.table, report.mode, report.already_loaded) == ("x", "public.t", "append", False)
    assert list(report.seconds) == ["prepare", "copy", "publish", "analyze", "total"]


def test_a_slice_is_made_and_then_replaced(spark: SparkSession, session: Session, database: Settings) -> None:
    def put(rows: DataFrame, where: str) -> LoadReport:
        return load_dataframe(rows, table="t", settings=database, mode="overwrite", overwrite_where=where, verify=True)

    with pytest.raises(UsageError, match=r'over the columns of public\.t: column "c" does not exist'):
        put(numbers(spark, 1), "c = 1")
    assert public_tables(session) == {"table_updates"}
    assert put(numbers(spark, 10), "a < 10").rows_deleted == 0
    report = put(numbers(spark, 3), "a % 2 = 0 OR a IN (1, 3)")
    assert (report.rows_inserted, report.rows_deleted, report.verified and report.verified.rows) == (3, 7, 3)
    assert ", deleted 7 in" in report.summary()
    assert session.run("SELECT array_agg(a ORDER BY a) FROM t") == [[[0, 1, 2, 5, 7, 9]]]


PARTITIONED = (
    "CREATE TABLE t (a int NOT NULL, b text, PRIMARY KEY (a)) PARTITION BY RANGE (a);"
    "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10);"
    "CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);"
    "CREATE TABLE highest PARTITION OF t FOR VALUES FROM (20) TO (30);"
    "INSERT INTO t SELECT a, 'old' FROM generate_series(5, 29) AS a;"
)


def test_partitions_are_replaced_by_rows_that_arrive_in_any_order(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    with pytest.raises(UsageError, match=r"There is no table public\.t, and no partition to replace"):
        load_dataframe(numbers(spark, 1), table="t", settings=database, mode="replace-partitions")
    created = load_dataframe(
        numbers(spark, 15),
        table="t",
        settings=database,
        mode="replace-partitions",
        partition_by="range(a)",
        new_partitions="10",
    )
    assert created.partitions_created == ("public.t_0", "public.t_10")
    assert (created.rows_inserted, created.rows_deleted) == (15, 0)
    session.run("DROP TABLE t")
    mode = "replace-partitions"
    load_dataframe(numbers(spark, 9), table="t", settings=database, mode=mode, partition_by="hash(a, 2)")
    assert session.run("SELECT count(*), count(DISTINCT tableoid) FROM t") == [[9, 2]]
    session.run("DROP TABLE t")
    session.run(PARTITIONED)
    rows = numbers(spark, 15, parts=1).orderBy("b").repartition(3)  # rows of both partitions in each part
    wanted = LoadJob(TableName("t"), database, "x", Move("replace-partitions", ()))
    with wanted.connector.open() as planner:
        planned = foresee(planner, wanted, lambda: Rows(rows))
    detached = [step.statement.split('"')[-2] for step in planned.steps if " DETACH " in step.statement]
    assert detached == ["low", "high"]
    report = load_dataframe(
        rows,
        table="t",
        settings=database,
        mode="replace-partitions",
        verify=True,
        load_id="x",
        before_sql="DELETE FROM t WHERE a = 29",
        after_sql="UPDATE t SET b = 'after' WHERE a = 0",
    )
    assert report.partitions_replaced == ("public.low", "public.high")
    assert (report.rows_inserted, report.rows_ignored, report.verified and report.verified.rows) == (15, 0, 15)
    assert report.rows_deleted is None
    assert "\n  replaced: public.low, public.high" in report.summary()
    assert session.run("SELECT count(*), min(a), max(a), count(*) FILTER (WHERE b = 'after') FROM t") == [
        [24, 0, 28, 1]
    ]
    assert public_tables(session) == {"t", "low", "high", "highest", "table_updates"}
    again = load_dataframe(rows, table="t", settings=database, mode="replace-partitions", load_id="x")
    assert again.already_loaded


def test_nothing_stays_beside_the_table(spark: SparkSession, session: Session, database: Settings) -> None:
    load_dataframe(numbers(spark, 10), table="t", settings=database)
    assert public_tables(session) == {"t", "table_updates"}


def test_a_second_load_of_an_id_does_nothing_and_does_not_look_at_its_input(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    load_dataframe(numbers(spark, 10), table="t", settings=database, load_id="x")

    def read() -> DataFrame:
        raise AssertionError("the input was read")

    report = run(LoadJob(TableName("t"), database, "x"), read)
    assert report.already_loaded
    assert session.run("SELECT count(*) FROM t") == [[10]]


def test_loads_without_an_id_are_loads_of_their_own(spark: SparkSession, session: Session, database: Settings) -> None:
    for _ in range(2):
        load_dataframe(numbers(spark, 10), table="t", settings=database)
    assert session.run("SELECT count(*) FROM t") == [[20]]


def test_an_id_that_another_table_has_is_refused(spark: SparkSession, session: Session, database: Settings) -> None:
    load_dataframe(numbers(spark, 10), table="t", settings=database, load_id="x")
    with pytest.raises(UsageError, match=r"'x' is taken by a marker of 'public\.t', which is not public\.other"):
        load_dataframe(numbers(spark, 10), table="other", settings=database, load_id="x")
    assert "other" not in public_tables(session)


def test_tables_of_one_name_in_two_schemas_are_two(spark: SparkSession, session: Session, database: Settings) -> None:
    session.run("CREATE SCHEMA a1; CREATE SCHEMA a2")
    load_dataframe(numbers(spark, 10), table="a1.orders", settings=database, load_id="x")
    in_a2 = replace(database, startup=(("search_path", "a2,public"),))
    for table, settings in (("a2.orders", database), ("orders", in_a2)):
        with pytest.raises(UsageError, match=r"taken by a marker of 'a1\.orders', which is not a2\.orders"):
            load_dataframe(numbers(spark, 10), table=table, settings=settings, load_id="x")
    assert session.run("SELECT to_regclass('a2.orders')") == [[None]]


def test_a_table_without_its_schema_is_the_one_that_it_leads_to(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    """It need not be in the first schema of search_path."""
    session.run("CREATE SCHEMA a1; CREATE SCHEMA a2; CREATE TABLE a2.orders (a int, b text)")
    on_path = replace(database, startup=(("search_path", "a1,a2,public"),))
    assert load_dataframe(numbers(spark, 10), table="orders", settings=on_path, load_id="x").table == "a2.orders"
    assert load_dataframe(numbers(spark, 10), table="a2.orders", settings=database, load_id="x").already_loaded


def test_a_marker_that_appears_while_rows_are_copied_keeps_the_load_out(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    def read() -> DataFrame:
        session.run("INSERT INTO table_updates (update_id, target_table) VALUES ('x', 'orders')")
        return numbers(spark, 10)

    with pytest.raises(UsageError, match=r"'x' is taken by a marker of 'orders', which is not public\.t"):
        run(LoadJob(TableName("t"), database, "x"), read)
    assert public_tables(session) == {"table_updates"}


@pytest.mark.parametrize("name", ["a.b", 'we"ird', "Upper Case"])
def test_a_rerun_into_a_table_with_an_awkward_name_is_known(spark: SparkSession, database: Settings, name: str) -> None:
    jobs = [LoadJob(TableName(name), database, "x")] * 2
    assert [run(job, lambda: numbers(spark, 10)).already_loaded for job in jobs] == [False, True]


@pytest.mark.parametrize("load_id", ["", "a\0b", "x" * 9000])
def test_an_id_that_cannot_be_recorded_is_refused_before_anything_is_done(
    spark: SparkSession, session: Session, database: Settings, load_id: str
) -> None:
    with pytest.raises(UsageError, match="The load id"):
        load_dataframe(numbers(spark, 10), table="t", settings=database, load_id=load_id)
    assert public_tables(session) == {"table_updates"}


def test_of_two_runs_of_an_id_at_once_one_loads_and_the_other_waits(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    reports = []

    def second() -> None:
        reports.append(load_dataframe(numbers(spark, 10), table="t", settings=database, load_id="x"))

    with connect(database, "first") as first:
        assert locks.take(first, locks.load("x"))
        thread = threading.Thread(target=second)
        thread.start()
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        until(lambda: session.run(waiting), "the other run")
        LUIGIS.record(first, "x", "public.t")
    thread.join()
    assert [report.already_loaded for report in reports] == [True]


def test_an_empty_input_makes_an_empty_table_and_a_marker(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    report = load_dataframe(numbers(spark, 0), table="t", settings=database, load_id="x")
    assert report.rows_inserted == 0
    assert session.run("SELECT count(*) FROM t") == [[0]]
    assert LUIGIS.recorded_target(session, "x") == "public.t"


def test_a_marker_table_of_its_own_records_the_load(spark: SparkSession, session: Session, database: Settings) -> None:
    session.run("CREATE SCHEMA etl")
    loads = [
        load_dataframe(numbers(spark, 2), table="t", settings=database, load_id="x", marker_table=table)
        for table in ("etl.marks", "etl.marks", "table_updates")
    ]
    assert [load.already_loaded for load in loads] == [False, True, False]
    assert session.run("SELECT update_id, target_table FROM etl.marks") == [["x", "public.t"]]


def test_a_table_that_exists_is_appended_to_by_name(spark: SparkSession, session: Session, database: Settings) -> None:
    session.run("CREATE SCHEMA s; CREATE TABLE s.t (id serial, b varchar(5), a bigint)")
    load_dataframe(numbers(spark, 3), table="s.t", settings=database)
    assert session.run("SELECT id > 0, a, b FROM s.t ORDER BY a") == [[True, 0, "0"], [True, 1, "1"], [True, 2, "2"]]


def test_no_create_wants_the_table(spark: SparkSession, database: Settings) -> None:
    with pytest.raises(UsageError, match=r"no table public\.t\..*--create"):
        load_dataframe(numbers(spark, 3), table="t", settings=database, create=False)


def test_a_schema_that_is_missing_is_named(spark: SparkSession, database: Settings) -> None:
    with pytest.raises(UsageError, match=r"no schema for the table nosuch\.t"):
        load_dataframe(numbers(spark, 3), table="nosuch.t", settings=database)


def test_a_column_that_does_not_match_is_refused_before_anything_is_copied(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a int, c int NOT NULL)")
    with pytest.raises(UsageError, match="'b' is not a column of the table; 'c' is missing"):
        load_dataframe(numbers(spark, 3), table="t", settings=database)
    assert public_tables(session) == {"t", "table_updates"}


def test_a_cell_that_the_server_refuses_fails_the_load_with_its_column_and_leaves_nothing(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a int, b int)")
    rows = spark.range(0, 100, 1, 4).selectExpr(
        "CAST(id AS int) AS a", "IF(id = 77, 'planted', CAST(id AS string)) AS b"
    )
    with pytest.raises(LoadError, match='column "b": invalid input syntax for type integer') as caught:
        run(LoadJob(TableName("t"), database, "x"), lambda: rows)
    assert "planted" not in str(caught.value)
    assert session.run("SELECT count(*) FROM t") == [[0]]
    assert public_tables(session) == {"t", "table_updates"}
    assert LUIGIS.recorded_target(session, "x") is None


def test_a_failure_of_spark_leaves_nothing_and_the_id_can_be_loaded_again(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    broken = spark.range(10).selectExpr("CAST(IF(id = 7, raise_error('broken input'), id) AS int) AS a")
    with pytest.raises(Exception, match="broken input"):
        load_dataframe(broken, table="t", settings=database, load_id="x")
    assert public_tables(session) == {"table_updates"}
    assert not load_dataframe(numbers(spark, 10), table="t", settings=database, load_id="x").already_loaded


def password_that_workers_cannot_read(_: Login) -> str:
    if TaskContext.get() is not None:
        raise AwsError("The secret x cannot be read: Access denied.", "Allow it.")
    return ""


def test_an_error_of_a_worker_is_told_in_its_own_words(
    spark: SparkSession, database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    locked_out = replace(database, password=password_that_workers_cannot_read)

    def job() -> None:
        load_dataframe(numbers(spark, 2), table="t", settings=locked_out)

    assert run_job(job, verbose=False) == 1
    [*progress, error] = capsys.readouterr().err.splitlines()
    assert all(line.startswith("copy [") for line in progress)
    assert error == "error: The secret x cannot be read: Access denied. Allow it."


def test_a_mode_that_is_not_there_is_refused(spark: SparkSession, database: Settings) -> None:
    with pytest.raises(UsageError, match="no mode 'bogus'"):
        load_dataframe(numbers(spark, 1), table="t", settings=database, mode="bogus")
    with pytest.raises(UsageError, match="takes no keys"):
        load_dataframe(numbers(spark, 1), table="t", settings=database, keys=["a"])


class Census(threading.Thread):
    """Counts the connections of tasks that are in a transaction, until it is stopped.

    A process of the server is there for a moment after its task has closed the connection and the next one has begun.
    """

    def __init__(self, database: Settings) -> None:
        super().__init__()
        self.most = 0
        self.over = threading.Event()
        self._database = database

    def __enter__(self) -> Census:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        query = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name LIKE 'pgjobs load part %' AND xact_start IS NOT NULL"
        )
        with connect(self._database, "census") as session:
            while not self.over.wait(0.005):
                self.most = max(self.most, session.run(query)[0][0])


@pytest.mark.parametrize(("parallelism", "most"), [(1, 1), (8, 2)])
def test_parallelism_bounds_the_connections_in_use_at_once_and_leaves_the_parts_as_they_are(
    spark: SparkSession, session: Session, database: Settings, parallelism: int, most: int
) -> None:
    """Spark has two cores here, so that two is the most without a bound. Parts wait until as many have come."""
    session.run(
        "CREATE FUNCTION waits() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_advisory_xact_lock_shared(16); RETURN true; END $$"
    )
    session.run("CREATE DOMAIN d AS bigint CHECK (waits()); CREATE TABLE t (a d, b text)")
    session.run("SELECT pg_advisory_lock(16)")
    rows = spark.range(0, 8000, 1, 8).selectExpr("id AS a", "repeat('x', 100) AS b")
    with Census(database) as census, ThreadPoolExecutor() as pool:
        loading = pool.submit(load_dataframe, rows, table="t", settings=database, parallelism=parallelism)
        until(lambda: loading.done() or census.most == most, "the connections")
        time.sleep(0.5)  # in which more of them would come
        session.run("SELECT pg_advisory_unlock(16)")
        report = loading.result()
    assert report.parts == 8
    assert census.most == most
    assert session.run("SELECT count(*), count(DISTINCT a) FROM t") == [[8000, 8000]]


def test_without_parallelism_half_of_the_free_connections_are_used_and_that_is_told(
    spark: SparkSession, session: Session, database: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    # Of three, the driver takes one. One more that was counted and ends, as an autovacuum does, changes nothing.
    taken = [connect(database, "taken") for _ in range(capacity(session).free - 3)]
    with caplog.at_level(logging.INFO):
        load_dataframe(numbers(spark, 100, parts=8), table="t", settings=database)
    for other in taken:
        other.close()
    assert "Copying 8 parts over 1 connection at once: the server has" in caplog.text
    assert session.run("SELECT count(*) FROM t") == [[100]]


def test_a_plan_with_shuffles_is_counted_and_copied_as_one(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    """Adaptive execution may change the number of partitions: the parts counted must be those copied."""
    rows = (
        spark.range(0, 1000, 1, 4)
        .selectExpr("id % 10 AS k", "id")
        .groupBy("k")
        .sum("id")
        .selectExpr("k", "`sum(id)` AS s")
    )
    report = load_dataframe(rows, table="t", settings=database)
    assert report.rows_inserted == 10
    assert session.run("SELECT sum(s) FROM t") == [[499500]]


def test_the_callers_job_group_is_its_own_again(spark: SparkSession, session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    context = spark.sparkContext
    names = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")
    context.setJobGroup("the caller's", "its own", interruptOnCancel=False)
    try:
        load_dataframe(numbers(spark, 10), table="t", settings=database, parallelism=1)
        assert [context.getLocalProperty(name) for name in names] == ["the caller's", "its own", "false"]
    finally:
        for name in names:
            context.setLocalProperty(name, None)  # type: ignore[arg-type] # None unsets it
    load_dataframe(numbers(spark, 10), table="t", settings=database)
    assert [context.getLocalProperty(name) for name in names] == [None, None, None]


def test_a_new_table_has_the_types_defaults_and_columns_that_are_given_and_a_later_load_goes_on_in_it(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    types = {"id": "bigserial PRIMARY KEY", "b": "varchar(5) NOT NULL", "kind": "text DEFAULT 'x' CHECK (kind <> 'y')"}
    for _ in range(2):
        load_dataframe(numbers(spark, 2), table="t", settings=database, column_types=types, verify=True)
    assert session.run("SELECT a, b, kind, count(*), count(DISTINCT id) FROM t GROUP BY 1, 2, 3 ORDER BY 1") == [
        [0, "0", "x", 2, 2],
        [1, "1", "x", 2, 2],
    ]
    columns = session.run(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
        "WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert columns == [
        ["a", "integer", False],
        ["b", "character varying(5)", True],
        ["id", "bigint", True],
        ["kind", "text", False],
    ]
    assert session.run("SELECT pg_get_serial_sequence('t', 'id')") == [["public.t_id_seq"]]
    assert public_tables(session) == {"t", "table_updates"}


@pytest.mark.parametrize("keys", [[], ["id"]])
def test_rows_that_a_unique_index_of_a_new_table_refuses_are_put_aside(
    spark: SparkSession, session: Session, database: Settings, keys: list[str]
) -> None:
    rows = spark.createDataFrame(
        [(1, "x", 1), (2, "X", 2), (3, "y", 3), (4, "y", -1), (5, "y", -1)], "id int, b string, n int"
    )
    report = load_dataframe(
        rows.coalesce(1),
        table="t",
        settings=database,
        mode="upsert" if keys else "append",
        keys=keys,
        indexes=["UNIQUE (lower(b)) WHERE n > 0", "b"],
        on_error="quarantine",
        verify=True,
    )
    assert (report.rows_inserted, report.rows_rejected) == (4, 1)
    assert session.run("SELECT id FROM t ORDER BY 1") == [[1], [3], [4], [5]]
    assert session.run("SELECT reason, row->>'b', part_row::int FROM t_rejects") == [["unique", "X", 2]]
    made = "SELECT count(*) FILTER (WHERE indisunique), count(*) FROM pg_index WHERE indrelid = 't'::regclass"
    assert session.run(made) == [[1 + len(keys), 2 + len(keys)]]


def test_values_are_encoded_by_the_types_that_are_given(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    rows = spark.sql(
        "SELECT timestamp '2026-11-20 01:02:03' AS at, '7' AS n, date '2026-11-20' AS day, NULL AS nothing"
    )
    types = {"AT": "timestamp(0)", "n": "numeric(5,2)", "day": "timestamptz", "nothing": "inet"}
    load_dataframe(rows, table="t", settings=database, column_types=types, verify=True)
    session.run(f"SET TimeZone = '{spark.conf.get('spark.sql.session.timeZone')}'")
    assert session.run("SELECT at::text, n::text, day::date::text, nothing FROM t") == [
        ["2026-11-20 01:02:03", "7.00", "2026-11-20", None]
    ]


def test_keys_and_given_types_make_a_table_for_upserts(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    for _ in range(2):
        load_dataframe(
            numbers(spark, 3), table="t", settings=database, mode="upsert", keys=["a"], column_types={"b": "varchar(9)"}
        )
    assert session.run("SELECT count(*), pg_typeof(max(b))::text FROM t") == [[3, "text"]]
    assert session.run(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n'"
    ) == [["PRIMARY KEY (a)"]]


@pytest.mark.parametrize(
    ("types", "told"),
    [
        ({"b": "int, c int"}, "'int, c int' is not the type of one column"),
        ({"b": "varcharr"}, 'type "varcharr" does not exist'),
        ({"b": "int GENERATED ALWAYS AS IDENTITY"}, "'b' is generated by the server"),
        ({"c": "int NOT NULL"}, "'c' is missing, and is NOT NULL with no default"),
        ({"a": "date"}, "'a' is a int, which does not fit date"),
    ],
)
def test_types_that_do_not_fit_are_refused_before_anything_is_copied(
    spark: SparkSession, session: Session, database: Settings, types: dict[str, str], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        load_dataframe(numbers(spark, 3), table="t", settings=database, column_types=types)
    assert public_tables(session) == {"table_updates"}


def test_metadata_columns_are_added_to_a_table_old_or_new_and_filled_in_the_same_transaction(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    """As Luigi's metadata_columns and metadata_queries."""
    session.run("CREATE TABLE t (a bigint, b text); INSERT INTO t VALUES (-1, 'old')")
    metadata = {"day": "date", "loaded": "timestamptz DEFAULT now()"}
    for table in ("t", "new", "t"):
        load_dataframe(
            numbers(spark, 1),
            table=table,
            settings=database,
            metadata_columns=metadata,
            after_sql=f"UPDATE {table} SET day = '2026-11-20' WHERE day IS NULL",
        )
    rows = "SELECT a, day::text, loaded IS NOT NULL FROM {} ORDER BY a"
    assert session.run(rows.format("new")) == [[0, "2026-11-20", True]]
    assert session.run(rows.format("t")) == [[-1, "2026-11-20", True], *[[0, "2026-11-20", True]] * 2]


def test_a_column_for_which_the_server_writes_all_rows_again_is_no_difference_to_verify(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t AS SELECT a, 'old' AS b FROM generate_series(1, 9) AS a")
    report = load_dataframe(
        numbers(spark, 2), table="t", settings=database, metadata_columns={"n": "bigserial"}, verify=True
    )
    assert report.verified is not None
    assert session.run("SELECT count(*), count(DISTINCT n) FROM t") == [[11, 11]]


def test_a_metadata_column_that_cannot_be_added_is_refused_before_anything_is_copied(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a bigint, b text); CREATE VIEW v AS SELECT * FROM t")
    for table, metadata, told in (
        ("t", {"day": "date NOT NULL"}, "day cannot be added to public.t: it is NOT NULL with no default"),
        ("v", {"day": "date"}, "public.v has no day, and only the owner of a table can add columns"),
    ):
        with pytest.raises(UsageError, match=told):
            load_dataframe(numbers(spark, 1), table=table, settings=database, metadata_columns=metadata)


def test_a_load_changes_its_table_for_the_data_and_verifies_and_rejects_as_ever(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run(
        "CREATE TABLE t (a int CHECK (a <> 7), b varchar(2));"
        "INSERT INTO t SELECT n, 'x' FROM generate_series(100, 9999) AS n; ANALYZE t"
    )
    rows = spark.range(0, 300, 1, 3).selectExpr("id AS a", "CAST(id AS string) AS b", "array(id) AS more")
    report = load_dataframe(
        rows, table="t", settings=database, schema_mode="widen", verify=True, on_error="quarantine", load_id="x"
    )
    assert (report.columns_added, report.columns_widened) == (("more",), ("a", "b"))
    assert (report.rows_inserted, report.rows_rejected, report.verified and report.verified.rows) == (299, 1, 299)
    assert "\n  columns added: more\n  columns widened: a, b" in report.summary()
    assert session.run("SELECT count(*), count(more), max(length(b)), pg_typeof(max(a))::text FROM t") == [
        [10_199, 299, 3, "bigint"]
    ]
    assert session.run("SELECT count(*) FROM pg_stats WHERE tablename = 't'") == [[3]], "the server forgot a and b"
    assert load_dataframe(rows, table="t", settings=database, schema_mode="widen", load_id="x").already_loaded
    with pytest.raises(UsageError, match="'loose' is not one of strict, add-columns, widen"):
        load_dataframe(rows, table="t", settings=database, schema_mode="loose")


@pytest.mark.parametrize("mode", ["upsert", "ignore"])
def test_a_table_that_the_load_creates_puts_rows_aside_that_have_no_key(
    spark: SparkSession, session: Session, database: Settings, mode: str
) -> None:
    rows = spark.createDataFrame([(1, "x"), (None, "y"), (None, "z"), (2, "x")], "id int, b string")
    load = partial(load_dataframe, rows, table="t", settings=database, mode=mode, keys=["id"], on_error="quarantine")
    report = load(verify=True)
    assert (report.rows_inserted, report.rows_rejected) == (2, 2)
    assert [row.reason for row in report.rejects(spark).collect()] == ["not_null", "not_null"]
    assert session.run("SELECT id FROM t ORDER BY id") == [[1], [2]]
    assert load().rows_rejected == 2, "as in a table that exists"


@pytest.mark.parametrize("strategy", ["delete", "truncate", "diff"])
def test_an_overwrite_with_quarantine_deletes_the_old_version_of_a_row_that_is_put_aside(
    spark: SparkSession, session: Session, database: Settings, strategy: str
) -> None:
    """Whether COPY refuses the row (2), or a constraint does (3)."""
    session.run("CREATE TABLE t (id int PRIMARY KEY, day date, n int CHECK (n > 0))")
    session.run("INSERT INTO t SELECT n, '2026-11-20', 1 FROM generate_series(1, 9) AS n")
    changed = "CASE id WHEN 2 THEN 'never' ELSE '2026-11-20' END AS day", "if(id = 3, -1, if(id = 4, 5, 1)) AS n"
    rows = spark.range(1, 10, 1, 1).selectExpr("CAST(id AS int) AS id", *changed)
    overwrite = partial(
        load_dataframe,
        rows,
        table="t",
        settings=database,
        mode="overwrite",
        overwrite_strategy=strategy,
        keys=["id"] if strategy == "diff" else [],
        on_error="quarantine",
        verify=True,
    )
    if strategy == "diff":
        with pytest.raises(LoadError, match=r"would delete 2 of the 9 rows of public\.t"):
            overwrite(max_delete_share=0.2)
        assert session.run("SELECT count(*), sum(n) FROM t") == [[9, 9]]
    report = overwrite()
    assert session.run("SELECT id, n FROM t ORDER BY 1") == [[1, 1], [4, 5], *([key, 1] for key in range(5, 10))]
    assert {row.reason for row in report.rejects(spark).collect()} == {"invalid_datetime", "check"}
    written = report.rows_deleted, report.rows_updated, report.rows_inserted, report.rows_unchanged
    assert written == ((2, 1, 0, 6) if strategy == "diff" else (9, 0, 7, 0))


@pytest.mark.parametrize(
    "newest", [(2, "never", 9), (2, "2026-11-21", -9)], ids=["refused by COPY", "refused by a constraint"]
)
def test_an_older_row_of_a_key_is_loaded_if_the_first_by_dedupe_order_is_put_aside(
    spark: SparkSession, session: Session, database: Settings, newest: tuple[int, str, int]
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, day date, n int CHECK (n > 0))")
    session.run("INSERT INTO t VALUES (2, '2026-11-01', 1)")
    data = [(2, "2026-11-18", 5), newest, (2, "2026-11-17", 4)]  # as text, 'never' is the newest, too
    rows = spark.createDataFrame(data, "id int, day string, n int").coalesce(1)
    upsert = partial(
        load_dataframe, rows, table="t", settings=database, mode="upsert", keys=["id"], on_error="quarantine"
    )
    with pytest.raises(UsageError, match="--order-by needs all rows of the data"):
        upsert(order_by=["n"])
    report = upsert(dedupe_order="day desc")
    assert report.rows_rejected == 1
    assert session.run("SELECT day::text, n FROM t") == [["2026-11-18", 5]]


def test_strings_that_stand_for_null_are_null_in_columns_of_any_type(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (n int, note text)")
    rows = spark.createDataFrame([("1", "NA"), ("NA", "-"), ("", "x"), (None, "na")], "n string, note string")
    load_dataframe(rows, table="t", settings=database, null_values=["NA", "-", ""])
    assert session.run("SELECT n, note FROM t ORDER BY n, note") == [[1, None], [None, "na"], [None, "x"], [None, None]]


def one_file(spark: SparkSession, folder: Path, count: int = 10) -> DataFrame:
    path = str(folder / "one.parquet")
    numbers(spark, count, parts=1).write.parquet(path)
    return spark.read.parquet(path)


def test_one_small_part_is_copied_straight_into_its_table_with_the_marker(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    rows = one_file(spark, tmp_path)
    report = load_dataframe(rows, table="t", settings=database, load_id="x")
    assert (report.publish, report.rows_inserted, report.parts, report.bytes_copied) == ("one part", 10, 1, 40)
    assert session.run(
        "SELECT count(DISTINCT t.xmin::text), count(*) FROM t, table_updates u WHERE t.xmin = u.xmin"
    ) == [[1, 10]]
    assert load_dataframe(rows, table="t", settings=database, load_id="x").already_loaded
    with pytest.raises(LoadError, match="The server refused a row: duplicate key value"):
        load_dataframe(rows, table="t", settings=database, load_id="y")
    assert public_tables(session) == {"t", "table_updates"}
    assert session.run("SELECT update_id FROM table_updates") == [["x"]]


@pytest.mark.parametrize("publish", ["auto", "staged", "parts"])
@pytest.mark.parametrize("other", ["date", "timestamp", "text"])
def test_rows_are_not_stored_as_other_values_in_a_table_that_is_altered_while_the_load_begins(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, publish: str, other: str
) -> None:
    """The load reads the catalog before this transaction is committed, and waits for its lock after that."""
    session.run("CREATE TABLE t (a timestamptz)")
    spark.sql("SELECT TIMESTAMP '2026-11-01 23:30:00Z' AS a").coalesce(1).write.parquet(str(tmp_path / "rows"))
    rows, failures = spark.read.parquet(str(tmp_path / "rows")), []

    def load() -> None:
        with pytest.raises(LoadError) as failed:
            load_dataframe(rows, table="t", settings=database, load_id="x", publish=publish)
        failures.append(failed.value.message)

    loading = threading.Thread(target=load)
    with session.transaction():
        session.run(f"ALTER TABLE t ALTER a TYPE {other}")
        loading.start()
        while not session.value("SELECT count(*) FROM pg_locks WHERE NOT granted") and loading.is_alive():
            time.sleep(0.02)
    loading.join()
    assert session.run("SELECT a FROM t") == []
    [message] = failures
    assert f"a is {other}" in message
    assert "and not timestamp with time zone" in message


def test_a_rerun_ends_what_is_left_of_a_load_of_one_part(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    """Its attempt could commit all rows after a rerun with --publish parts has begun: it is found by its name."""
    session.run("CREATE TABLE t (a int, b text); CREATE TABLE seen (name text)")
    session.run(
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen "
        "SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_parts_.{32}$'; RETURN NULL; END $$; "
        "CREATE TRIGGER looks AFTER INSERT ON t EXECUTE FUNCTION look()"
    )
    assert load_dataframe(one_file(spark, tmp_path), table="t", settings=database, load_id="x").publish == "one part"
    [[name]] = session.run("SELECT name FROM seen")
    session.run(f'CREATE TABLE "{name}" ()')
    end_earlier_runs(session, LUIGIS.located(session), "x", TableName("t", "public"))
    assert public_tables(session) == {"t", "seen", "table_updates"}


@pytest.mark.parametrize("other", ["parts", "mode", "verify", "script", "new", "shuffle", "ignoring"])
def test_what_is_not_as_atomic_in_one_transaction_is_staged(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, other: str
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    rows = one_file(spark, tmp_path)
    if other == "parts":
        rows = rows.union(rows.selectExpr("a + 100 AS a", "b"))
    elif other == "shuffle":
        rows = rows.repartition(1)
    elif other == "ignoring":
        rows = spark.read.option("ignoreCorruptFiles", "true").parquet(str(tmp_path / "one.parquet"))
    report = load_dataframe(
        rows,
        table="new" if other == "new" else "t",
        settings=database,
        mode="overwrite" if other == "mode" else "append",
        verify=other == "verify",
        after_sql="SELECT 1" if other == "script" else None,
    )
    assert report.publish == "staged"


def test_an_upsert_deletes_what_a_column_that_the_table_lacks_says(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text, n int); INSERT INTO t VALUES (1, 'x', 1), (2, 'x', 5)")
    rows = [("U", 1, 1, "late", 9), ("D", 2, 1, None, None), ("U", 1, 2, "old", 3), ("I", 1, 3, "new", 3)]
    df = spark.createDataFrame(rows, "OP string, seq int, a int, b string, n int")
    report = load_dataframe(
        df,
        table="t",
        settings=database,
        mode="upsert",
        keys=["a"],
        delete_when="op = 'D'",
        update_when="source.n > target.n",
        order_by=["seq"],
        verify=True,
    )
    assert session.run("SELECT * FROM t ORDER BY a") == [[2, "x", 5], [3, "new", 3]]
    assert (report.rows_inserted, report.rows_updated, report.rows_deleted, report.rows_ignored) == (1, 0, 1, 2)
    assert (report.publish, report.verified and report.verified.rows) == ("staged", 1)
    assert [column.name for column in report.columns] == ["a", "b", "n"]
    with pytest.raises(UsageError, match="--verify compares whole rows"):
        load_dataframe(df, table="t", settings=database, mode="upsert", keys=["a"], update_columns=["b"], verify=True)
    with pytest.raises(UsageError, match=r"'OP' is not a column of the table; 'seq' is not a column of the table"):
        load_dataframe(df, table="t", settings=database, mode="upsert", keys=["a"], delete_when="a = 1")


def test_a_history_is_made_and_goes_on(spark: SparkSession, session: Session, database: Settings) -> None:
    def put(rows: list[tuple[object, ...]], columns: str, **more: object) -> LoadReport:
        df = spark.createDataFrame(rows, columns)
        return load_dataframe(df, table="t", settings=database, mode="history", keys=["id"], **more)  # type: ignore[arg-type]

    changed = "id int, b string, Changed date"
    days = [date(2026, 1, day) for day in (1, 3)]
    report = put([(1, "x", days[0]), (1, "y", days[1]), (2, "x", days[0])], changed, as_of="changed")
    assert (report.rows_inserted, report.rows_updated, report.publish) == (3, 0, "staged")
    with pytest.raises(LoadError, match="would delete 1 of the 2 rows"):
        put([(1, "z")], "id int, b string", as_of="2026-01-09", delete_missing=True)
    later = put([(1, "z")], "id int, b string", as_of="2026-01-09", delete_missing=True, max_delete_share=0.5)
    assert (later.rows_inserted, later.rows_updated) == (1, 2)
    assert session.run("SELECT id, b, valid_to::date::text, is_current FROM t ORDER BY id, valid_from") == [
        [1, "x", "2026-01-03", False],
        [1, "y", "2026-01-09", False],
        [1, "z", None, True],
        [2, "x", "2026-01-09", False],
    ]
    assert session.run(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1"
    ) == [
        ["CREATE UNIQUE INDEX t_id_idx ON public.t USING btree (id) WHERE is_current"],
        ["CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id, valid_from)"],
    ]
    with pytest.raises(UsageError, match="--verify compares rows with the data"):
        put([(1, "z")], "id int, b string", verify=True)
    with pytest.raises(UsageError, match="'tomorow' is neither a time nor a column of the data"):
        put([(1, "z")], "id int, b string", as_of="tomorow")
