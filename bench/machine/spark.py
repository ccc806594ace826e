"""A Spark for measurements that run in one process."""

from __future__ import annotations

from pyspark.sql import SparkSession


def start_spark(cores: int) -> SparkSession:
    """Start Spark, or return the one that runs."""
    builder = SparkSession.builder.master(f"local[{cores}]").config("spark.driver.memory", "2g")
    builder = builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark
