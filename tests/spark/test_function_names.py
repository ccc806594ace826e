"""No function of the user's own takes the place of one of Spark's that pgjobs uses."""

from __future__ import annotations

from typing import Any

import pytest
from drawn import drawn
from hypothesis import strategies as st
from kinds import KINDS
from pyspark.sql import SparkSession
from pyspark.sql import types as t

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.compare import compare_dataframe
from jobs.flows.extract.dataframe import extract_dataframe, extracting
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.dataframe import load_dataframe
from jobs.spark.plans.function_names import USED

T = TableName("t")
COMPARED_AS_TEXT = (t.MapType, t.StructType, t.ArrayType, t.DayTimeIntervalType)
ROWS = st.tuples(*(kind.values | st.none() for kind in KINDS.values()))


def mangle(*_: object) -> str:
    return "changed"


def test_a_function_that_hides_one_of_sparks_is_refused_by_its_name(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    """It would change text silently."""
    session.run("CREATE TABLE t (a text)")
    hiding = spark.newSession()
    hiding.udf.register("Replace", mangle)
    hiding.udf.register("slug", mangle)
    rows = hiding.sql("SELECT 'a\tb' AS a")
    for act in (
        lambda: load_dataframe(rows, table="t", settings=database),
        lambda: extract_dataframe(hiding, table="t", settings=database),
        lambda: compare_dataframe(rows, table="t", settings=database, keys=["a"]),
    ):
        with pytest.raises(UsageError, match="In this session, replace does not mean Spark's own function"):
            act()
    assert session.run("SELECT count(*) FROM t") == [[0]]
    same = spark.newSession()
    same.udf.register("slug", mangle)
    load_dataframe(same.sql("SELECT slug('x') AS a"), table="t", settings=database)
    assert session.run("SELECT a FROM t") == [["changed"]]


def hide_all_others(spark: SparkSession) -> int:
    """Put a function of Python in place of all of Spark's that pgjobs is not known to use. Return their number."""
    catalyst: Any = spark.sparkContext._jvm.org.apache.spark.sql.catalyst  # type: ignore[union-attr]  # noqa: SLF001 - PySpark's own way
    registry = spark._jsparkSession.sessionState().functionRegistry()  # noqa: SLF001 - likewise
    spark.udf.register("mangle", mangle)
    name = catalyst.FunctionIdentifier("mangle")
    info, builder = registry.lookupFunction(name).get(), registry.lookupFunctionBuilder(name).get()
    others = str(catalyst.analysis.FunctionRegistry.builtin().listFunction().mkString("\n")).split("\n")
    hidden = [other for other in others if other not in USED]
    for other in hidden:
        registry.registerFunction(catalyst.FunctionIdentifier(other), info, builder)
    return len(hidden)


def test_no_other_function_is_used(spark: SparkSession, session: Session, database: Settings) -> None:
    """Values of all types, there and back, by both carriers, while everything else means another function."""
    names = {f"c{place}": kind.spark_type for place, kind in enumerate(KINDS.values())}
    schema = t.StructType([t.StructField(name, kind) for name, kind in {"id": t.LongType(), **names}.items()])
    nested = ["map(date'2026-01-01', timestamp'2026-01-01 00:00:00Z') AS m", "interval '3' month AS y", "'a\tb' AS s"]
    values = [[place, *row] for place, row in enumerate(drawn(ROWS, 20))]
    other = spark.newSession()
    df = other.createDataFrame(values, schema).selectExpr("*", *nested)
    assert hide_all_others(other) > 300
    load_dataframe(df, table="t", settings=database, verify=True, nul="strip")
    assert session.run("SELECT count(*), count(DISTINCT s) FROM t WHERE s = E'a\\tb'") == [[20, 1]]
    compared = [name for name, kind in names.items() if not isinstance(kind, COMPARED_AS_TEXT)]
    assert compare_dataframe(df.select("id", *compared), table="t", settings=database, keys=["id"]).collect() == []
    connector = Connector(database, "extract", "t")
    for arrow in (True, False):
        with connector.open() as held, extracting(other, held, connector, Wanted(T), arrow=arrow) as extraction:
            read = extraction.df.select("id", "s", *compared).collect()
        assert {row["s"] for row in read} == {"a\tb"}
