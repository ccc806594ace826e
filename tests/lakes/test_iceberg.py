"""A table that follows one of a real Iceberg: equal after each load, whatever was committed and whatever crashed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator

import pytest
from followed import Model, until_done
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.definitions.alterations import ADD_COLUMNS
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import Defined
from jobs.flows.load.feeds.loads import load_changes as load_what_changed
from jobs.flows.load.job import LoadJob
from jobs.flows.report import LoadReport
from jobs.flows.source_tables import CatalogTable

NAME = "lake.db.orders"
COMMITS = int(os.environ.get("COMMITS", "100"))
UPSERT = Move("upsert", (), ("id",))

Load = Callable[..., LoadReport]


@pytest.fixture
def lake(spark: SparkSession) -> Iterator[SparkSession]:
    """An empty table of Iceberg, whose files are written anew when some of their rows are deleted."""
    spark.sql(f"CREATE TABLE {NAME} (id int, v string) USING iceberg TBLPROPERTIES ({written('copy-on-write')})")
    yield spark
    spark.sql(f"DROP TABLE IF EXISTS {NAME} PURGE")


def written(how: str) -> str:
    return ", ".join(f"'write.{what}.mode' = '{how}'" for what in ("delete", "update", "merge"))


@pytest.fixture
def load(spark: SparkSession, database: Settings) -> Load:
    def load_changes(
        load_id: str, way: Settings = database, *, full: bool = False, select: str = "", **job: object
    ) -> LoadReport:
        given = {"move": UPSERT, **job}
        return load_what_changed(
            LoadJob(TableName("t"), way, load_id, **given),  # type: ignore[arg-type]
            CatalogTable(NAME, select=select),
            lambda: spark,
            full=full,
        )

    return load_changes


def rows(session: Session, columns: str = "id, v") -> list[list[object]]:
    return session.run(f"SELECT {columns} FROM t ORDER BY id")


def commit(spark: SparkSession, model: Model) -> None:
    """Commit what the model does next: by one statement or several, some of which change nothing that is read."""
    values, deleted = model.commit()
    told = [f"({key}, '{value}', false)" for key, value in values.items()]
    told += [f"({key}, NULL, true)" for key in deleted]
    if not told:
        spark.sql(f"DELETE FROM {NAME} WHERE id = -1")
    elif model.random.random() < 0.5:
        spark.sql(
            f"MERGE INTO {NAME} AS t USING (SELECT * FROM VALUES {', '.join(told)} AS s (id, v, gone)) AS s "
            "ON t.id = s.id WHEN MATCHED AND s.gone THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v "
            "WHEN NOT MATCHED AND NOT s.gone THEN INSERT (id, v) VALUES (s.id, s.v)"
        )
    else:  # each key is gone for a moment
        spark.sql(f"DELETE FROM {NAME} WHERE id IN ({', '.join(map(str, [*values, *deleted]))})")
        if values:
            inserted = ", ".join(f"({key}, '{value}')" for key, value in values.items())
            spark.sql(f"INSERT INTO {NAME} VALUES {inserted}")
    if model.random.random() < 0.1:
        spark.sql("CALL lake.system.rewrite_data_files(table => 'db.orders', options => map('min-input-files', '2'))")


@pytest.mark.parametrize(("how", "commits"), [("copy-on-write", COMMITS), ("merge-on-read", 15)])
def test_after_random_commits_with_crashes_between_both_tables_are_equal(
    lake: SparkSession, load: Load, database: Settings, session: Session, how: str, commits: int
) -> None:
    lake.sql(f"ALTER TABLE {NAME} SET TBLPROPERTIES ({written(how)})")
    choose = random.Random(commits)  # noqa: S311 - a repeatable draw, and no secret
    model, loads, crashes = Model(choose), 0, 0
    for number in range(commits):
        commit(lake, model)
        if choose.random() < 0.5:
            loads += 1
            crashes += until_done(lambda way, n=number: load(f"load {n}", way), database, choose)  # type: ignore[misc]
            there = [list(row) for row in lake.sql(f"SELECT id, v FROM {NAME} ORDER BY id").collect()]
            assert rows(session) == there == [list(row) for row in sorted(model.rows.items())], number
    assert (loads, crashes) > (commits / 4, commits / 20)
    assert session.run("SELECT count(*) FROM table_updates") == [[loads]]


def test_only_what_changed_is_staged_and_the_position_is_told(lake: SparkSession, load: Load, session: Session) -> None:
    lake.sql(f"INSERT INTO {NAME} SELECT /*+ COALESCE(1) */ id, 'old' FROM range(1000)")
    assert load("1").rows_inserted == 1000
    lake.sql(f"UPDATE {NAME} SET v = 'new' WHERE id = 7")
    lake.sql(f"DELETE FROM {NAME} WHERE id = 8")
    lake.sql(f"UPDATE {NAME} SET id = 5000 WHERE id = 9")
    report = load("2")
    assert (report.rows_staged, report.rows_inserted, report.rows_updated, report.rows_deleted) == (5, 1, 1, 2)
    [snapshot] = lake.sql(f"SELECT snapshot_id FROM {NAME}.refs").collect()
    assert report.source_state.startswith(f"{NAME} at version {snapshot[0]} of ")
    again = load("3")
    assert again.nothing_new
    assert again.source_state == report.source_state
    assert load("2").already_loaded
    assert rows(session)[6:9] == [[6, "old"], [7, "new"], [10, "old"]]
    assert rows(session)[-1] == [5000, "old"]


def test_an_empty_table_has_nothing_to_load(lake: SparkSession, load: Load, session: Session) -> None:  # noqa: ARG001 - it is there
    assert load("1").nothing_new
    assert session.run("SELECT to_regclass('t')") == [[None]]


def test_a_snapshot_that_is_no_longer_in_the_history_is_not_passed_over(
    lake: SparkSession, load: Load, session: Session
) -> None:
    lake.sql(f"INSERT INTO {NAME} VALUES (1, 'a')")
    [first] = lake.sql(f"SELECT snapshot_id FROM {NAME}.refs").collect()
    lake.sql(f"INSERT INTO {NAME} VALUES (2, 'b')")
    load("1")
    lake.sql(f"CALL lake.system.rollback_to_snapshot('db.orders', {first[0]})")
    with pytest.raises(LoadError, match="not in the history of the current one"):
        load("2")
    lake.sql(f"INSERT INTO {NAME} VALUES (3, 'c')")
    lake.sql("CALL lake.system.expire_snapshots(table => 'db.orders', older_than => TIMESTAMP '2100-01-01 00:00:00')")
    with pytest.raises(LoadError, match="does not have this snapshot any more"):
        load("2")
    assert rows(session) == [[1, "a"], [2, "b"]]
    assert load("3", full=True).rows_deleted == 1
    assert rows(session) == [[1, "a"], [3, "c"]]


def test_another_table_of_the_same_name_is_not_taken_for_the_first(
    lake: SparkSession, load: Load, session: Session
) -> None:
    lake.sql(f"INSERT INTO {NAME} VALUES (1, 'a')")
    load("1")
    lake.sql(f"DROP TABLE {NAME} PURGE")
    lake.sql(f"CREATE TABLE {NAME} (id int, v string) USING iceberg")
    lake.sql(f"INSERT INTO {NAME} VALUES (2, 'b')")
    with pytest.raises(LoadError, match="or the table is another one"):
        load("2")
    lake.sql(f"CREATE OR REPLACE TABLE {NAME} USING iceberg AS SELECT 3 AS id, 'c' AS v")
    with pytest.raises(LoadError, match="cannot be read"):
        load("2")
    assert rows(session) == [[1, "a"]]


HOW = pytest.mark.parametrize("how", ["copy-on-write", "merge-on-read"])


def one_file(spark: SparkSession, rows: str) -> None:
    """Insert rows of one file, of which a delete of some leaves the others."""
    spark.sql(f"INSERT INTO {NAME} SELECT /*+ COALESCE(1) */ * FROM VALUES {rows}")


@HOW
def test_a_query_filters_and_rows_that_leave_it_leave_the_table(
    lake: SparkSession, load: Load, session: Session, how: str
) -> None:
    lake.sql(f"ALTER TABLE {NAME} SET TBLPROPERTIES ({written(how)})")
    select = "SELECT id, upper(v) AS v, _op, _ordinal FROM source WHERE v <> 'closed'"
    one_file(lake, "(1, 'a'), (2, 'b'), (3, 'closed'), (4, 'd')")
    load("1", select=select)
    assert rows(session) == [[1, "A"], [2, "B"], [4, "D"]]
    lake.sql(f"UPDATE {NAME} SET v = 'closed' WHERE id = 1")
    lake.sql(f"UPDATE {NAME} SET v = 'open' WHERE id = 3")
    lake.sql(f"DELETE FROM {NAME} WHERE id = 4")
    load("2", select=select)
    assert rows(session) == [[2, "B"], [3, "OPEN"]]


@HOW
def test_a_query_may_rename_the_key(lake: SparkSession, load: Load, session: Session, how: str) -> None:
    lake.sql(f"ALTER TABLE {NAME} SET TBLPROPERTIES ({written(how)})")
    select = "SELECT id AS order_id, v, _op, _ordinal FROM source"
    one_file(lake, "(1, 'a'), (2, 'b'), (3, 'c')")
    load("1", select=select, move=Move("upsert", (), ("order_id",)))
    lake.sql(f"UPDATE {NAME} SET v = 'new' WHERE id = 1")
    lake.sql(f"DELETE FROM {NAME} WHERE id = 2")
    load("2", select=select, move=Move("upsert", (), ("order_id",)))
    assert session.run("SELECT order_id, v FROM t ORDER BY 1") == [[1, "new"], [3, "c"]]


def test_rows_that_are_gone_can_be_marked(lake: SparkSession, load: Load, session: Session) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, v text, gone boolean)")
    marks = Move("upsert", (), ("id",), changes=Changes(soft_delete="gone"))
    lake.sql(f"INSERT INTO {NAME} VALUES (1, 'a'), (2, 'b')")
    load("1", move=marks)
    lake.sql(f"DELETE FROM {NAME} WHERE id = 1")
    load("2", move=marks)
    assert rows(session, "id, gone") == [[1, True], [2, False]]


def test_a_column_that_the_lake_got_is_added_or_refused_as_the_user_says(
    lake: SparkSession, load: Load, session: Session
) -> None:
    lake.sql(f"INSERT INTO {NAME} VALUES (1, 'a')")
    load("1")
    lake.sql(f"ALTER TABLE {NAME} ADD COLUMN w int")
    lake.sql(f"INSERT INTO {NAME} VALUES (2, 'b', 7)")
    with pytest.raises(UsageError, match="w"):
        load("2")
    report = load("2", defined=Defined(schema_mode=ADD_COLUMNS))
    assert report.columns_added == ("w",)
    assert rows(session, "id, v, w") == [[1, "a", None], [2, "b", 7]]


def test_a_column_that_was_renamed_or_made_anew_is_not_taken_for_a_new_one(
    lake: SparkSession, load: Load, session: Session
) -> None:
    """Rows that nobody changed would have NULL, or values of the column that was dropped."""
    adds = Defined(schema_mode=ADD_COLUMNS)
    lake.sql(f"ALTER TABLE {NAME} ADD COLUMNS (more int, s struct<a: int>)")
    one_file(lake, "(1, 'a', 10, struct(5)), (2, 'b', 20, struct(6))")
    load("1")
    lake.sql(f"ALTER TABLE {NAME} RENAME COLUMN v TO w")
    with pytest.raises(UsageError, match="its column w was v"):
        load("2", defined=adds)
    load("3", defined=adds, full=True)
    assert rows(session, "id, w") == [[1, "a"], [2, "b"]]
    lake.sql(f"ALTER TABLE {NAME} DROP COLUMN more")
    lake.sql(f"INSERT INTO {NAME} VALUES (3, 'c', struct(7))")
    load("4")
    lake.sql(f"ALTER TABLE {NAME} ADD COLUMN more int")
    lake.sql(f"INSERT INTO {NAME} VALUES (4, 'd', struct(8), 40)")
    with pytest.raises(UsageError, match="its column more was dropped, and another one was added"):
        load("5")
    load("6", full=True)
    assert rows(session, "id, more") == [[1, None], [2, None], [3, None], [4, 40]]
    lake.sql(f"ALTER TABLE {NAME} RENAME COLUMN s.a TO b")
    with pytest.raises(UsageError, match=r"its column s\.b was s\.a"):
        load("7")


def test_marks_are_not_mixed_with_deletes(lake: SparkSession, load: Load, session: Session) -> None:
    """A row that comes back would keep its mark."""
    session.run("CREATE TABLE t (id int PRIMARY KEY, v text, gone boolean)")
    marks = Move("upsert", (), ("id",), changes=Changes(soft_delete="gone"))
    lake.sql(f"INSERT INTO {NAME} VALUES (1, 'a')")
    load("1", move=marks)
    with pytest.raises(UsageError, match="--soft-delete"):
        load("2")


def test_full_does_not_report_success_for_a_table_with_rows_whose_source_never_had_any(
    lake: SparkSession,  # noqa: ARG001 - it is there
    load: Load,
    session: Session,
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'x')")
    with pytest.raises(UsageError, match="has rows, and the source has none"):
        load("1", full=True)


@pytest.mark.parametrize("part", ["branch_audit", "tag_monthly", "history"])
def test_what_is_not_the_table_itself_is_refused(lake: SparkSession, database: Settings, part: str) -> None:
    lake.sql(f"INSERT INTO {NAME} VALUES (1, 'a')")
    lake.sql(f"ALTER TABLE {NAME} CREATE BRANCH audit")
    lake.sql(f"ALTER TABLE {NAME} CREATE TAG monthly")
    job = LoadJob(TableName("t"), database, "1", UPSERT)
    with pytest.raises(UsageError, match=rf"{part} is a branch, a tag, .* Name the table itself"):
        load_what_changed(job, CatalogTable(f"{NAME}.{part}"), lambda: lake)


def test_databases_may_be_nested_without_the_name_of_the_catalog(
    lake: SparkSession, database: Settings, session: Session
) -> None:
    lake.sql("CREATE TABLE lake.a.b.t USING iceberg AS SELECT 1 AS id")
    lake.sql("USE lake")
    try:
        for number in ("1", "2"):
            job = LoadJob(TableName("t"), database, number, UPSERT)
            load_what_changed(job, CatalogTable("a.b.t"), lambda: lake)
            lake.sql("INSERT INTO lake.a.b.t VALUES (2)")
        assert session.run("SELECT id FROM t ORDER BY 1") == [[1], [2]]
    finally:
        lake.sql("USE spark_catalog")
        lake.sql("DROP TABLE lake.a.b.t PURGE")


def test_a_query_that_makes_deletes_of_rows_does_so_in_the_first_load(
    lake: SparkSession, load: Load, session: Session
) -> None:
    lake.sql(f"INSERT INTO {NAME} VALUES (1, 'a'), (2, 'closed')")
    load("1", select="SELECT id, v, IF(v = 'closed', 'D', _op) AS _op, _ordinal FROM source")
    assert rows(session) == [[1, "a"]]


@HOW
def test_a_table_with_maps_is_loaded_as_a_whole(lake: SparkSession, load: Load, session: Session, how: str) -> None:
    lake.sql(f"ALTER TABLE {NAME} SET TBLPROPERTIES ({written(how)})")
    lake.sql(f"ALTER TABLE {NAME} ADD COLUMN s struct<m: map<string, int>>")
    one_file(lake, "(1, 'a', struct(map('x', 1))), (2, 'b', struct(map('x', 2)))")
    load("1")
    lake.sql(f"DELETE FROM {NAME} WHERE id = 1")
    with pytest.raises(UsageError, match=r"The column s has maps, which Spark cannot compare.* full"):
        load("2")
    load("2", full=True)
    assert rows(session) == [[2, "b"]]


def test_a_key_that_two_rows_have_is_told(lake: SparkSession, load: Load, session: Session) -> None:
    lake.sql(f"INSERT INTO {NAME} VALUES (1, 'a')")
    load("1")
    lake.sql(f"INSERT INTO {NAME} VALUES (2, 'b'), (2, 'c')")
    with pytest.raises(LoadError, match="id"):
        load("2")
    assert rows(session) == [[1, "a"]]
