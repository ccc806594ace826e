"""A client of Spark Connect with a server of its own, in a process of its own: it loads, extracts, and tells as JSON.

PySpark decides once in a process whether it is a client of Connect. `remote("local")` starts the server.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from jobs import JobError, connection, extract_dataframe, load_dataframe

SETTINGS = connection(environ=os.environ)


def tried(action: Callable[[], Any]) -> list[str]:
    """The class and the message of the error that an action raises."""
    try:
        action()
    except JobError as error:
        return [type(error).__name__, str(error)]
    return []


def server_and_client() -> SparkSession:
    """Start the server on a free port: 15002 may be taken by another run of the tests.

    PySpark chooses one for this variable alone, which the JVM is not to have: it would check more than a user's does.
    """
    SparkContext._ensure_initialized()  # noqa: SLF001 - starts the JVM
    os.environ["SPARK_TESTING"] = "1"
    return SparkSession.builder.remote("local[2]").getOrCreate()


def main() -> dict[str, object]:
    """Use each function as a notebook would."""
    spark = server_and_client()
    numbers = spark.range(0, 1000, 1, 3).selectExpr("CAST(id AS int) AS a", "CAST(id AS string) AS b")
    changed = numbers.where("a < 2").selectExpr("a", "'new' AS b")
    load, extract = partial(load_dataframe, settings=SETTINGS), partial(extract_dataframe, spark, settings=SETTINGS)
    types = {"a": "int PRIMARY KEY", "c": "text DEFAULT 'made'"}
    first = load(numbers, table="t", load_id="x", column_types=types, null_values=("7", "8"))
    second = load(numbers, table="t", load_id="x")
    upsert = load(changed, table="t", mode="upsert", keys=["a"], metadata_columns={"m": "int DEFAULT 1"})
    extracted = extract(table="t", columns=["a", "b"], filter="a < 9")
    told: dict[str, object] = {
        "session": type(spark).__module__,
        "first": asdict(first),
        "summary": first.summary(),
        "second": asdict(second),
        "upsert": asdict(upsert),
        "extracted": sorted(map(list, extracted.collect())),
        "refused": tried(lambda: load(numbers, table="t", verify=True, before_sql="SELECT 1")),
        "no_table": tried(lambda: extract(table="none")),
        "no_column": tried(lambda: load(numbers.withColumnRenamed("b", "z"), table="t")),
        "constraint": tried(lambda: load(changed, table="t")),
        "taken": tried(lambda: load(changed, table="other", load_id="x")),
        "elsewhere": tried(lambda: load(changed, table="elsewhere.t", load_id="y")),
        "taken elsewhere": tried(lambda: load(changed, table="t", load_id="y", mode="upsert", keys=["a"])),
    }
    spark.stop()
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(), default=str))
