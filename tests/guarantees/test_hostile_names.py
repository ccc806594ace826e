"""Names that look like SQL, like a driver's places for values, or like other names go all the way as what they are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from extracts import extracted
from pgcopies import end_sidecars, options_for
from pyspark.sql import DataFrame, SparkSession
from streams import HAS_SINK

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.compare import compare_dataframe
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.dataframe import load_dataframe

SCHEMA, TABLE = 's"; --', "t'); DROP TABLE kept; --"
KEY = "id\"' \\ %s %% $1"
COLUMNS = (KEY, ":name {} {0}", "a\nb\tc", "p\u0430ypal", "paypal", "$$ /* E'")
NAME = TableName(TABLE, SCHEMA)


def rows_of(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(n, *[f"{n}"] * 5) for n in range(3)], list(COLUMNS))


@pytest.fixture
def kept(session: Session) -> Session:
    session.run(f"CREATE SCHEMA {quote_name(SCHEMA)}; CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)")
    return session


@pytest.mark.usefixtures("kept")
def test_names_that_look_like_sql_are_names(spark: SparkSession, session: Session, database: Settings) -> None:
    rows = rows_of(spark)
    for mode, keys in (("append", ()), ("upsert", (KEY,))):
        if mode == "upsert":
            session.run(f"CREATE UNIQUE INDEX ON {NAME.quoted} ({quote_name(KEY)})")
        load_dataframe(rows, table=str(NAME), settings=database, mode=mode, keys=keys, load_id=f"'; {mode} %s $1")
    with extracted(spark, database, Wanted(NAME, split_by=KEY, parallelism=2)) as df:
        assert tuple(df.columns) == COLUMNS
        assert sorted(map(tuple, df.collect())) == sorted(map(tuple, rows.collect()))
    assert compare_dataframe(rows, table=str(NAME), settings=database, keys=(KEY,), sample=0.9).collect() == []
    assert session.run("SELECT a FROM kept") == [[1]]


@pytest.mark.skipif(find_spec("pyspark.sql.datasource") is None, reason="Python data sources are Spark 4's")
def test_names_that_look_like_sql_are_names_to_pgcopy(
    spark: SparkSession, kept: Session, database: Settings, tmp_path: Path
) -> None:
    rows = rows_of(spark)
    pgcopy = {**options_for(database, tmp_path), "table": str(NAME)}
    writer = rows.write.format("pgcopy").options(**pgcopy).mode("append")
    writer.option("loadId", "'; append %s $1").save()
    kept.run(f"CREATE UNIQUE INDEX ON {NAME.quoted} ({quote_name(KEY)})")
    upsert = writer.options(mode="upsert", keys=KEY, dedupeOrder=f"{quote_name(KEY)} desc")
    upsert.option("loadId", "'; upsert %s $1").save()
    read = spark.read.format("pgcopy").options(**pgcopy, splitBy=KEY, parallelism="2").load()
    assert sorted(map(tuple, read.collect())) == sorted(map(tuple, rows.collect()))
    end_sidecars(kept)
    assert kept.run("SELECT a FROM kept") == [[1]]


@pytest.mark.skipif(not HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_names_that_look_like_sql_are_names_to_streams(
    spark: SparkSession, kept: Session, database: Settings, tmp_path: Path
) -> None:
    load_dataframe(rows_of(spark), table=str(NAME), settings=database)
    pgcopy = options_for(database, tmp_path)
    source = spark.readStream.format("pgcopy").options(**pgcopy, table=str(NAME)).load()
    copy = TableName(f"copy of {TABLE}", SCHEMA)
    writer = source.writeStream.format("pgcopy").options(**pgcopy, table=str(copy), streamId="'; %s $1")
    writer.option("checkpointLocation", str(tmp_path / "at")).trigger(availableNow=True).start().awaitTermination()
    assert kept.run(f"SELECT count(*) FROM {copy.quoted}") == [[3]]
    assert kept.run("SELECT a FROM kept") == [[1]]
