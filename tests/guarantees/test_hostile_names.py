"""Names that look like SQL, like a driver's places for values, or like other names go all the way as what they are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from extracts import extracted
from pgcopies import end_keepers, options_for
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.compare import compare_dataframe
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.job import load_dataframe

SCHEMA, TABLE = 's"; --', "t'); DROP TABLE kept; --"
KEY = "id\"' \\ %s %% $1"
COLUMNS = (KEY, ":name {} {0}", "a\nb\tc", "p\u0430ypal", "paypal", "$$ /* E'")
NAME = TableName(TABLE, SCHEMA)


@pytest.fixture
def kept(session: Session) -> Session:
    session.run(f"CREATE SCHEMA {quote_name(SCHEMA)}; CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)")
    return session


@pytest.mark.usefixtures("kept")
def test_names_that_look_like_sql_are_names(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    rows = spark.createDataFrame([(n, *[f"{n}"] * 5) for n in range(3)], list(COLUMNS))
    for mode, keys in (("append", ()), ("upsert", (KEY,))):
        if mode == "upsert":
            session.run(f"CREATE UNIQUE INDEX ON {NAME.quoted} ({quote_name(KEY)})")
        load_dataframe(rows, table=str(NAME), settings=database, mode=mode, keys=keys, load_id=f"'; {mode} %s $1")
    with extracted(spark, database, Wanted(NAME, split_by=KEY, parallelism=2)) as df:
        assert tuple(df.columns) == COLUMNS
        assert sorted(map(tuple, df.collect())) == sorted(map(tuple, rows.collect()))
    assert compare_dataframe(rows, table=str(NAME), settings=database, keys=(KEY,), sample=0.9).collect() == []
    if find_spec("pyspark.sql.datasource"):
        pgcopy = {**options_for(database, tmp_path), "table": str(NAME)}
        assert spark.read.format("pgcopy").options(**pgcopy).load().count() == 3
        end_keepers(session)
    assert session.run("SELECT a FROM kept") == [[1]]
