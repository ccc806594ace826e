"""Loads the same files by --publish parts and by --keep-staging, at once, until somebody kills the process.

python resumable_loads.py FOLDER, with the database in PG*.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.report import LoadReport

FILES, EACH = 40, 100
AT_ONCE = 6
"""So many parts wait, at most, while the others are copied."""

SPLIT: Mapping[str, str] = {
    "spark.sql.files.openCostInBytes": str(128 * 1024 * 1024),
    "spark.sql.session.timeZone": "America/New_York",
}
"""A part for each file, as in the session of the rerun."""

LOADS: Mapping[str, Callable[..., LoadReport]] = {
    "direct": partial(load_dataframe, publish="parts"),
    "staged": partial(load_dataframe, keep_staging=True),
}
"""By their tables."""


def load(df: DataFrame, settings: Settings, table: str) -> LoadReport:
    return LOADS[table](df, table=table, settings=settings, load_id=f"the {table} one", parallelism=AT_ONCE)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    [folder] = arguments
    settings = resolve(Given(), environ).settings
    spark = SparkSession.builder.config(map={**SPLIT}).getOrCreate()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda table: load(spark.read.parquet(folder), settings, table), LOADS))


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
