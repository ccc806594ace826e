"""Does a load as users do, by `load_dataframe`; then once more, which has to do nothing.

Rows come from Parquet files, one for each part, if that matters for the way in which they are published. Else Spark
gets them from Python, in their order. Parts are copied one after the other: of two rows that conflict, it depends on
their order which one is put aside.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from fuzz.loads.cases import Case
from fuzz.loads.quick import batch
from jobs.dbaccess.conninfo.settings import Settings
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.report import LoadReport


def session() -> SparkSession:
    """Start Spark, whose workers are the Python of this process: another one has not what a load needs."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder: SparkSession.Builder = SparkSession.builder
    return builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()


def load(spark: SparkSession, case: Case, settings: Settings, load_id: str) -> LoadReport:
    """Do the load, twice.

    Raises:
        JobError: It fails.
        AssertionError: The second load of the same id does anything.
    """
    do = cast("Callable[..., LoadReport]", load_dataframe)
    with tempfile.TemporaryDirectory(prefix="pgjobs-fuzz-") as folder:
        rows = _from_files(spark, case, folder) if case.options.mode == "append" else _from_python(spark, case)
        arguments = {"settings": settings, "load_id": load_id, "parallelism": 1, **case.arguments()}
        report = do(rows, **arguments)
        assert do(rows, **arguments).already_loaded, "a load of the same id does nothing"
    return report


def _schema(case: Case) -> StructType:
    return StructType([StructField(name, case.kind(name).spark) for name in case.columns])


def _from_python(spark: SparkSession, case: Case) -> DataFrame:
    rows = [tuple(row[name].spark for name in case.columns) for row in case.data]
    return spark.createDataFrame(spark.sparkContext.parallelize(rows, case.parts), _schema(case))


def _from_files(spark: SparkSession, case: Case, folder: str) -> DataFrame:
    for part, rows in enumerate(case.divided()):
        pq.write_table(batch(case, rows), Path(folder) / f"part-{part}.parquet")
    return spark.read.schema(_schema(case)).parquet(folder)
