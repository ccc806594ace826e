"""Streams by pgcopy out of the table `events` and into the table `copy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamWriter

from jobs.dbaccess.session import Session

try:
    from pyspark.sql import datasource
except ImportError:  # Python data sources are Spark 4's
    HAS_SINK = False
else:
    HAS_SINK = hasattr(datasource, "DataSourceStreamArrowWriter")
"""Whether a stream can be written by pgcopy itself: from Spark 4.1 on."""


def into_copy(df: DataFrame, options: dict[str, str], **more: str) -> DataStreamWriter:
    """A writer into the table `copy`; on Spark 4.0 the one that docs/pgcopy.md tells of."""
    if HAS_SINK:
        return df.writeStream.format("pgcopy").options(**options, table="copy", streamId="copying", **more)

    def write(batch: DataFrame, number: int) -> None:
        into = batch.write.format("pgcopy").options(**options, table="copy", loadId=f"copying/{number}", **more)
        into.mode("append").save()

    return df.writeStream.foreachBatch(write)


def run_to_the_end(df: DataFrame, options: dict[str, str], checkpoint: Path, **more: str) -> list[dict[str, Any]]:
    """Stream into the table `copy` until all that is there now has been taken; what each batch told."""
    writer = into_copy(df, options, **more).option("checkpointLocation", str(checkpoint))
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination()
    return [json.loads(progress.json) for progress in query.recentProgress]


def source(spark: SparkSession, options: dict[str, str], **more: str) -> DataFrame:
    return spark.readStream.format("pgcopy").options(**options, table="events", **more).load()


def ids(session: Session) -> list[int]:
    return [number for [number] in session.run("SELECT id FROM copy ORDER BY id")]
