"""`spark.read.format("pgcopy")`: one moment for all parts, all types, and filters that mean the same."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pgcopies import end_sidecars, options_for, sidecars, until
from pyspark.sql import DataFrame, DataFrameReader, SparkSession

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.dataframe import extracting
from jobs.flows.extract.plan import Wanted

pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")


@pytest.fixture
def reader(spark: SparkSession, session: Session, database: Settings, tmp_path: Path) -> Iterator[DataFrameReader]:
    """A reader of the test's database; `pgcopy` is found without being registered."""
    yield spark.read.format("pgcopy").options(**options_for(database, tmp_path))
    end_sidecars(session)


def test_a_table_comes_with_the_catalogs_names_and_types(reader: DataFrameReader, session: Session) -> None:
    session.run('CREATE TABLE t (id int PRIMARY KEY, "Weird, Name" text, price numeric(8,2))')
    session.run("INSERT INTO t SELECT n, 'row ' || n, n / 4.0 FROM generate_series(1, 1000) n")
    df = reader.option("table", "t").option("parallelism", "3").load()
    assert df.schema.simpleString() == "struct<id:int,Weird, Name:string,price:decimal(8,2)>"
    assert df.selectExpr("count(*)", "sum(id)", "sum(price)").first() == (1000, 500500, 125125)


TYPES = {
    "a bool": "true",
    "b int2": "-7",
    "c bigint": "9223372036854775807",
    "d real": "0.1",
    "e float8": "'NaN'",
    "f numeric(38,10)": "123.4567890123",
    "g numeric": "1.50",
    "h text": "E'tab\\t, line\\n, back\\\\slash, \"quote\"'",
    "i bytea": "'\\x00ff5c'",
    "j date": "'0044-03-15 BC'",
    "k timestamp": "'2026-11-01 01:30:00.000001'",
    "l timestamptz": "'2026-11-01 05:30:00+00'",
    "m uuid": "'9b2cbc0e-7a6f-4ab1-8f5d-0d8fe2f7e8a1'",
    "n jsonb": "'{\"a\": [1, null]}'",
    "o int[]": "'{1,NULL,3}'",
    "p text[][]": '\'{{a,NULL},{"b\\\\c","d"}}\'',
    "q bytea[]": "ARRAY['\\x0001'::bytea, NULL, '\\x']",
    "r timestamptz[]": "ARRAY['0044-03-15 12:00+00 BC', '2026-11-01 05:30+00']::timestamptz[]",
    "s bool[]": "'{t,f,NULL}'",
    "t numeric(5,2)[]": "'{1.5,NULL}'",
    "u interval": "'1 day 02:03'",
    "v date[]": "'{}'",
    "w pair": "ROW(1, E'a, \"b\" \\\\ \t')::pair",
    "x pair[]": "ARRAY['(1,x)'::pair, NULL, '(,)']",
    "y pair[]": "'{}'",
    "z deep": "ROW('0044-03-15 BC', '2026-11-01 05:30+00', 1.5, true, '\\x00ff', '(2,)', '{NULL,\"(3,c)\"}', "
    "'{1,NULL}')::deep",
    "zz deep": "NULL",
}
COMPOSED = """
CREATE TYPE pair AS (a int, b text);
CREATE TYPE deep AS (
    d date, at timestamptz, n numeric(5,2), flag boolean, raw bytea, one pair, many pair[], numbers int[]
)
"""


def test_every_type_comes_as_from_the_extract(
    spark: SparkSession, reader: DataFrameReader, session: Session, database: Settings
) -> None:
    """Which decodes arrays and binary in the JVM, and this in Python."""
    session.run(COMPOSED)
    session.run(f"CREATE TABLE t ({', '.join(TYPES)})")
    session.run(f"INSERT INTO t SELECT {', '.join(TYPES.values())} FROM generate_series(1, 3)")
    session.run("INSERT INTO t (b) VALUES (NULL), (1)")
    ours = reader.option("table", "t").load()
    as_text = [f"to_json(struct(`{name}`))" for name in ours.columns]
    with extracting(spark, session, Connector(database, "extract", "t"), Wanted(TableName("t"))) as extraction:
        assert ours.schema == extraction.df.schema
        assert rows(ours.selectExpr(*as_text)) == rows(extraction.df.selectExpr(*as_text))


def rows(df: DataFrame) -> list[str]:
    return sorted(map(str, df.collect()))


def test_an_array_of_another_shape_is_refused_by_column(reader: DataFrameReader, session: Session) -> None:
    session.run("CREATE TABLE t (a int[]); INSERT INTO t VALUES ('[0:1]={1,2}')")
    with pytest.raises(Exception, match='The column "a" holds a value that its type in Spark cannot'):
        reader.option("table", "t").load().collect()


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"query": "SELECT id FROM t WHERE id < 5 -- the first"}, 4),
        ({"query": "SELECT id, v FROM t", "splitBy": "id", "parallelism": "3"}, 100),
        ({"table": "t", "columns": "v", "filter": "id > 90 OR v = 1"}, 11),
        ({"TABLE": "t", "SPLITBY": "id"}, 100),
        ({"table": "t", "filter": "id % 2 = 0 AND v::text LIKE '%4'", "splitBy": "id"}, 10),
    ],
)
def test_queries_columns_and_filters(
    reader: DataFrameReader, session: Session, options: dict[str, str], rows: int
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, n FROM generate_series(1, 100) n")
    assert reader.options(**options).load().count() == rows


class Writers:
    """Transfers between accounts, hundreds in a second, while the block runs. Their sum is always the same."""

    def __init__(self, database: Settings) -> None:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._transfer, args=(database, n)) for n in range(2)]

    def _transfer(self, database: Settings, number: int) -> None:
        with connect(database, f"writer {number}") as session:
            for payer in itertools.cycle(range(1 + number * 250, 251 + number * 250)):
                if self._over.wait(0.005):
                    return
                session.run(
                    "UPDATE accounts SET balance = balance + CASE WHEN id <= 500 THEN 1 ELSE -1 END "
                    "WHERE id IN (%s::int, %s::int)",
                    payer,
                    1001 - payer,
                )

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def test_all_parts_see_one_snapshot_while_others_write(
    reader: DataFrameReader, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE accounts (id int PRIMARY KEY, balance int)")
    session.run("INSERT INTO accounts SELECT n, 0 FROM generate_series(1, 1000) n")
    df = reader.option("table", "accounts").option("parallelism", "6").load()
    with Writers(database):
        for _ in range(3):
            assert df.selectExpr("count(*)", "sum(balance)").first() == (1000, 0)


def test_a_password_in_an_option_is_refused_with_a_way_that_is_safe(reader: DataFrameReader) -> None:
    for name, text in {"password": "secret", "databaseUrl": "postgresql://me:secret@h/d"}.items():
        with pytest.raises(Exception, match=r"a password must not be one\. Set PGPASSWORD") as caught:
            reader.option("table", "t").option(name, text).load()
        assert "secret@" not in str(caught.value)


def test_an_option_that_is_not_known_is_refused(reader: DataFrameReader) -> None:
    with pytest.raises(Exception, match="pgcopy has no option tabel"):
        reader.option("tabel", "t").load()


def test_a_table_of_sparks_catalog_is_refused_with_what_sql_has_in_its_place(spark: SparkSession) -> None:
    with pytest.raises(Exception, match=r"cannot be of pgcopy\. In SQL, write CREATE TEMPORARY VIEW"):
        spark.sql("CREATE TABLE c USING pgcopy OPTIONS (table 't')")


def test_a_schema_that_is_not_the_catalogs_is_refused(reader: DataFrameReader, session: Session) -> None:
    session.run("CREATE TABLE t (id int)")
    with pytest.raises(Exception, match=r"t has the columns struct<id:int>, and not struct<id:string>"):
        reader.option("table", "t").schema("id string").load().collect()


def test_a_snapshot_that_was_lost_is_told(reader: DataFrameReader, session: Session) -> None:
    session.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    df = reader.option("table", "t").load()
    assert df.collect() == [(1,)]
    assert sidecars(session) == 1
    end_sidecars(session)
    assert until(lambda: sidecars(session) == 0)
    with pytest.raises(Exception, match="The snapshot is lost: the process or the connection of the driver's"):
        df.collect()


@pytest.fixture
def growing(session: Session) -> Callable[[], None]:
    """A table with ids from 1 on, to which each call adds one."""
    session.run("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, v int); INSERT INTO t (v) VALUES (1)")

    def grow() -> None:
        session.run("INSERT INTO t (v) VALUES (1)")

    return grow


def test_all_actions_on_a_dataframe_and_what_is_made_of_it_see_one_snapshot(
    spark: SparkSession, reader: DataFrameReader, session: Session, growing: Callable[[], None]
) -> None:
    """Spark 4.0 plans each scan anew, also those of one action."""
    df = reader.option("table", "t").load()
    df.createOrReplaceTempView("moments")
    counts = [df.count]
    counts += [df.where("id > 0").count, df.union(df).distinct().count, df.join(df.where("v = 1"), "id").count]
    counts += [spark.sql("SELECT * FROM moments WHERE v < 2").count, df.rdd.count]
    for count in counts:
        assert count() == 1
        growing()
    later = reader.option("table", "t").load()
    assert (later.count(), df.count()) == (len(counts) + 1, 1)
    assert sidecars(session) == 1, "one process and connection, whatever was done"


def test_each_action_sees_a_snapshot_of_its_own_if_requested(
    reader: DataFrameReader, session: Session, growing: Callable[[], None]
) -> None:
    df = reader.options(table="t", snapshot="action", parallelism="2").load()
    for count in (1, 2, 3):
        assert df.count() == count
        assert df.where("v = 1").count() == count
        growing()
    session.run("DELETE FROM t WHERE id > 1")
    assert df.count() == 1
    assert sidecars(session) == 1
    with pytest.raises(Exception, match="Spark does not report to which action a task of an RDD belongs"):
        df.rdd.count()


def test_all_parts_and_scans_of_an_action_see_its_snapshot_while_others_write(
    reader: DataFrameReader, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE accounts (id int PRIMARY KEY, balance int)")
    session.run("INSERT INTO accounts SELECT n, 0 FROM generate_series(1, 1000) n")
    df = reader.options(table="accounts", parallelism="4", snapshot="action").load()
    with Writers(database):
        for _ in range(3):
            both = df.alias("a").join(df.alias("b"), "id").where("a.balance <> b.balance")
            assert both.count() == 0
            assert df.selectExpr("count(*)", "sum(balance)").first() == (1000, 0)


def test_a_partition_that_was_attached_since_the_plan_is_told_or_read_where_spark_plans_each_scan(
    spark: SparkSession, reader: DataFrameReader, session: Session
) -> None:
    """By then the moment of the plan was let go, for who attaches waits for it."""
    session.run("CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)")
    df = reader.options(table="t", snapshot="action").load()
    assert df.count() == 0
    session.run("CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2); INSERT INTO t VALUES (2)")
    if spark.version < "4.1":
        assert df.count() == 1
        return
    with pytest.raises(Exception, match=r"t has other columns or partitions than when .*Load the DataFrame again"):
        df.count()


def test_a_snapshot_that_idled_out_is_told_with_the_way_on(
    reader: DataFrameReader, growing: Callable[[], None], session: Session
) -> None:
    df = reader.options(table="t", snapshotIdle="5").load()
    assert df.count() == 1
    session.run("SELECT pg_sleep(1)")
    with suppress(Exception):  # on a machine that has let it idle out by now
        df.count()  # by tasks that come when the planner has gone: from now on, idle time counts
    growing()
    assert until(lambda: not holds_back(session))
    with pytest.raises(Exception, match=r"idled out: nothing was read in it for 5 s \(snapshotIdle\)"):
        df.count()
    assert reader.load().count() == 2


def holds_back(session: Session) -> bool:
    """Whether a snapshot keeps vacuum waiting."""
    return bool(
        session.run(
            "SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^pgjobs snapshot' AND backend_xmin IS NOT NULL "
            "AND datname = current_database()"
        )
    )
