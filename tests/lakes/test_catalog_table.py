"""Tables of a real Iceberg: a load reads one snapshot from begin to end, and tells which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import JobError, LoadError, UsageError
from jobs.dbaccess.load.rejects.policy import QUARANTINE, Policy
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.compare import compare_dataframe
from jobs.flows.load.catalog_table import read
from jobs.flows.load.files import malformed_translated
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.run import run
from jobs.flows.load.sources import load
from jobs.flows.report import LoadReport, SourceTable
from jobs.flows.source_tables import CatalogTable

NAME = "lake.db.t"

Load = Callable[..., LoadReport]


@pytest.fixture
def table(spark: SparkSession) -> Iterator[SparkSession]:
    """A table of Iceberg with three rows of one snapshot."""
    spark.sql(f"CREATE TABLE {NAME} (id int, name string) USING iceberg TBLPROPERTIES ('format-version' = '2')")
    spark.sql(f"INSERT INTO {NAME} VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    yield spark
    spark.sql(f"DROP TABLE {NAME} PURGE")


@pytest.fixture
def load_of(spark: SparkSession, database: Settings) -> Load:
    def load_table_of(name: str = NAME, version: str = "", select: str = "", **more: object) -> LoadReport:
        job = LoadJob(TableName("t"), database, str(more.pop("load_id", new_load_id())), **more)  # type: ignore[arg-type]
        return load(job, CatalogTable(name, version, select), lambda: spark)

    return load_table_of


def snapshots(spark: SparkSession) -> list[str]:
    return [
        str(row[0]) for row in spark.sql(f"SELECT snapshot_id FROM {NAME}.snapshots ORDER BY committed_at").collect()
    ]


def rows(session: Session) -> list[list[object]]:
    return session.run("SELECT * FROM t ORDER BY 1")


def test_a_table_is_loaded_and_the_report_has_its_snapshot(
    table: SparkSession, load_of: Load, session: Session
) -> None:
    report = load_of()
    assert rows(session) == [[1, "a"], [2, "b"], [3, "c"]]
    [snapshot] = snapshots(table)
    assert report.source_table is not None
    [place] = report.source_table.places
    assert report.source_table == SourceTable(NAME, "iceberg", snapshot, (place,))
    assert place.endswith("/db/t")
    assert f"\n  read: {NAME}, snapshot {snapshot}" in report.summary()


def test_what_others_commit_during_a_load_is_not_read_however_often_it_reads(
    table: SparkSession, database: Settings, session: Session
) -> None:
    read_from: list[DataFrame] = []

    def read_before_others_commit() -> DataFrame:
        df, _ = read(table, CatalogTable(NAME))
        read_from.append(df)
        assert df.count() == 3
        table.sql(f"INSERT INTO {NAME} VALUES (4, 'd')")
        table.sql(f"DELETE FROM {NAME} WHERE id = 1")
        return df

    run(LoadJob(TableName("t"), database, "x", verify=True), read_before_others_commit)
    assert rows(session) == [[1, "a"], [2, "b"], [3, "c"]]
    assert compare_dataframe(read_from[0], table="t", settings=database, keys=["id"]).count() == 0
    assert table.table(NAME).count() == 3


@pytest.mark.parametrize("replaced", [False, True])
def test_a_snapshot_that_is_gone_before_it_was_read_fails_the_load_in_our_words(
    table: SparkSession, database: Settings, session: Session, replaced: bool
) -> None:
    def read_before_it_is_gone() -> DataFrame:
        df, _ = read(table, CatalogTable(NAME))
        if replaced:
            table.sql(f"DROP TABLE {NAME} PURGE")
            table.sql(f"CREATE TABLE {NAME} USING iceberg AS SELECT 9 AS id, 'new' AS name")
        else:
            table.sql(f"DELETE FROM {NAME} WHERE id = 1")
            table.sql("CALL lake.system.expire_snapshots('db.t', TIMESTAMP '2100-01-01 00:00:00')")
        return df

    session.run("CREATE TABLE t (id int, name text)")
    gone = r"read of a table of Iceberg is gone: (snapshot with ID \d+|/\S+)\. Nothing was loaded\. .* Run it again\."
    with pytest.raises(LoadError, match=gone), malformed_translated():
        run(LoadJob(TableName("t"), database, "x"), read_before_it_is_gone)
    assert rows(session) == []


def test_a_column_that_was_added_without_a_commit_of_rows_is_read(
    table: SparkSession, load_of: Load, session: Session
) -> None:
    table.sql(f"ALTER TABLE {NAME} ADD COLUMN more int")
    load_of()
    assert rows(session) == [[1, "a", None], [2, "b", None], [3, "c", None]]


def test_an_earlier_snapshot_is_read_with_the_columns_that_it_had(
    table: SparkSession, load_of: Load, session: Session
) -> None:
    table.sql(f"ALTER TABLE {NAME} ADD COLUMN more int")
    table.sql(f"INSERT INTO {NAME} VALUES (4, 'd', 4)")
    first, second = snapshots(table)
    report = load_of(version=first)
    assert rows(session) == [[1, "a"], [2, "b"], [3, "c"]]
    assert report.source_table is not None
    assert report.source_table.version == first
    with pytest.raises(UsageError, match=r"cannot read version 12 of lake\.db\.t.* It may have expired"):
        load_of(version="12")
    session.run("DROP TABLE t")
    load_of(version=second)
    assert len(rows(session)) == 4


def test_rows_that_were_deleted_by_files_of_deletes_are_not_loaded(
    table: SparkSession, load_of: Load, session: Session
) -> None:
    table.sql(f"ALTER TABLE {NAME} SET TBLPROPERTIES ('write.delete.mode' = 'merge-on-read')")
    table.sql(f"INSERT INTO {NAME} SELECT CAST(id AS int), 'x' FROM range(10, 1000)")
    table.sql(f"DELETE FROM {NAME} WHERE id % 2 = 0")
    load_of()
    assert [row[0] for row in rows(session)] == [1, 3, *range(11, 1000, 2)]


def test_a_table_without_a_snapshot_has_no_rows_and_no_version(
    spark: SparkSession, load_of: Load, session: Session
) -> None:
    spark.sql(f"CREATE TABLE {NAME} (id int) USING iceberg")
    try:
        report = load_of()
        assert report.source_table is not None
        assert (report.source_table.format, report.source_table.version, rows(session)) == ("iceberg", "", [])
    finally:
        spark.sql(f"DROP TABLE {NAME} PURGE")


def test_branches_tags_and_the_tables_about_a_table_are_read_by_their_names(
    table: SparkSession, load_of: Load, session: Session
) -> None:
    [first] = snapshots(table)
    table.sql(f"ALTER TABLE {NAME} CREATE BRANCH audit")
    table.sql(f"ALTER TABLE {NAME} CREATE TAG monthly")
    table.sql(f"INSERT INTO {NAME}.branch_audit VALUES (9, 'z')")
    table.sql(f"INSERT INTO {NAME} VALUES (4, 'd')")
    versions = {}
    for part, ids in (("branch_audit", [1, 2, 3, 9]), ("tag_monthly", [1, 2, 3]), (f"snapshot_id_{first}", [1, 2, 3])):
        report = load_of(f"{NAME}.{part}")
        assert report.source_table is not None
        versions[part] = report.source_table.version
        assert [row[0] for row in rows(session)] == ids
        session.run("DROP TABLE t")
    assert versions == {"branch_audit": "", "tag_monthly": first, f"snapshot_id_{first}": first}
    load_of(f"{NAME}.history", select="SELECT count(*) AS n FROM source")
    assert rows(session) == [[2]]


def test_a_view_of_iceberg_is_not_taken_for_the_table_that_it_reads(
    spark: SparkSession, load_of: Load, session: Session
) -> None:
    """A plan shows the query of such a view, as if it were that of the user. Its table's version is not pinned."""
    spark.sql("CREATE NAMESPACE memory.db")
    spark.sql("CREATE TABLE memory.db.t USING iceberg AS SELECT 1 AS id")
    spark.sql("CREATE VIEW memory.db.v AS SELECT id FROM memory.db.t")
    of_table, of_view = load_of("memory.db.t").source_table, load_of("memory.db.v").source_table
    assert of_table is not None
    assert of_view == SourceTable("memory.db.v", places=of_table.places)
    assert of_table.version
    assert rows(session) == [[1], [1]]


def test_a_name_may_have_dots_and_quotes_in_backquotes(spark: SparkSession, load_of: Load, session: Session) -> None:
    name = "lake.`a.b`.`it's.a``table`"
    spark.sql(f"CREATE TABLE {name} USING iceberg AS SELECT 1 AS id")
    try:
        load_of(name)
        assert rows(session) == [[1]]
    finally:
        spark.sql(f"DROP TABLE {name} PURGE")


@pytest.mark.parametrize("name", ["lake.db.nothing", "lake.nothing.t", "lake.db.t.nothing"])
def test_a_table_that_is_not_there_is_told_with_the_catalogs(table: SparkSession, name: str) -> None:
    with pytest.raises(
        UsageError, match=rf"finds no table {name}\. The catalogs of this session are lake, memory, spark_catalog"
    ):
        read(table, CatalogTable(name))


def test_a_row_that_is_refused_is_told_by_its_file_and_its_place_there(
    table: SparkSession, load_of: Load, session: Session
) -> None:
    table.sql(f"INSERT INTO {NAME} SELECT /*+ COALESCE(1) */ CAST(id AS int), 'x' FROM range(11, 16)")
    [file] = [
        str(row[0]) for row in table.table(f"{NAME}.files").where("record_count = 5").select("file_path").collect()
    ]
    row = pq.read_table(file).column("id").to_pylist().index(12) + 1
    session.run("CREATE DOMAIN d AS int CHECK (VALUE <> 12); CREATE TABLE t (id d, name text)")
    for _ in range(6):  # Iceberg lists the files in another order now and then, also for the reading that finds the row
        with pytest.raises(JobError, match=rf"{Path(file).name}, row {row}\."):
            load_of()
    report = load_of(policy=Policy(QUARANTINE), load_id="x")
    assert (report.rows_rejected, len(rows(session))) == (1, 7)
    assert session.run("SELECT file, file_row FROM t_rejects") == [[file, row]]


@pytest.mark.parametrize("flags", [{"keep_staging": 3600.0}, {"publish": "parts"}])
def test_a_load_that_could_not_be_resumed_is_refused(
    table: SparkSession,  # noqa: ARG001 - it is there
    load_of: Load,
    flags: dict[str, object],
) -> None:
    """Iceberg may split the files of one snapshot into other parts in another run."""
    with pytest.raises(
        UsageError, match=r"could not be resumed: it reads lake\.db\.t.* Write the rows to Parquet first"
    ):
        load_of(load_id="x", **flags)
