"""Drawn loads by `load_dataframe`, the same few every time, compared with a model; `make fuzz` tries more."""

from __future__ import annotations

from functools import partial

from pyspark.sql import SparkSession

from fuzz import loading
from fuzz.loads import by_spark
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session

EXAMPLES = 3


def test_a_load_by_spark_does_what_the_model_says(spark: SparkSession, session: Session, database: Settings) -> None:
    loading.target(loading.BY_SPARK, session, database, partial(by_spark.load, spark)).try_out(EXAMPLES)
