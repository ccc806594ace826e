"""The change feed of a Delta table: its versions, and the change data feed between two of them.

The feed tells an update as two rows, of which the older one is taken for a delete: an update may have changed the key.
For a table that does not record its changes (delta.enableChangeDataFeed), the rows of both versions are compared.

Tables get an id when they are made, so that a table that was dropped and made anew is known to be another one.

https://docs.delta.io/latest/delta-change-data-feed.html
https://docs.delta.io/latest/delta-utility.html#retrieve-delta-table-history
https://github.com/delta-io/delta/blob/master/spark/src/main/scala/org/apache/spark/sql/delta/commands/cdc/CDCReader.scala
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from jobs.dbaccess.load.followed.source_position import Position
from jobs.flows.load.feeds.feed import LAKES_ORDER, check_free, operation_of, told
from jobs.flows.load.feeds.lake_table import LakeTable
from jobs.flows.load.feeds.versions import compared
from jobs.spark.plans.lake_tables import DELTA

_TOLD = ("_change_type", "_commit_version", "_commit_timestamp")
_GONE = ("delete", "update_preimage")
_RECORDS = "delta.enableChangeDataFeed"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeltaFeed:
    """A Delta table whose changes are followed."""

    spark: SparkSession
    table: LakeTable
    has_all_rows: bool = True
    tells_how_rows_were: bool = True
    order: tuple[str, ...] = LAKES_ORDER

    def now(self) -> Position | None:
        """Return the newest version. A table without rows has one, too."""
        [last] = self.spark.sql(f"DESCRIBE HISTORY {self.table.quoted} LIMIT 1").collect()
        [detail] = self.spark.sql(f"DESCRIBE DETAIL {self.table.quoted}").collect()
        return Position(DELTA, str(self.table), str(last["version"]), str(detail["id"]), str(last["timestamp"]))

    def columns(self) -> Mapping[str, int]:
        """Return none: without column mapping, a column that is renamed is written anew."""
        return {}

    def lost(self, since: Position, to: Position) -> str:
        """Return why changes cannot be read: the version was cleaned up, or the table has not come that far."""
        if int(since.version) > int(to.version):
            return f"the newest version is {to.version}"
        versions = self.spark.sql(f"DESCRIBE HISTORY {self.table.quoted}").select("version").collect()
        if int(since.version) not in {row["version"] for row in versions}:
            return "the table's log does not have this version any more"
        return ""

    def rows(self, at: Position) -> DataFrame:
        """Return the rows of a version."""
        df = self.spark.sql(f"SELECT * FROM {self.table.quoted} VERSION AS OF {int(at.version)}")
        check_free(df)
        return df

    def changes(self, since: Position, to: Position) -> DataFrame:
        """Return the changes after one version, up to another one."""
        if not self._records_changes():
            logger.info("%s does not record its changes (%s): versions are compared.", self.table, _RECORDS)
            return compared(self.rows(since), self.rows(to))
        changes = (
            self.spark.read.format("delta")
            .option("readChangeFeed", "true")
            .option("startingVersion", int(since.version) + 1)
            .option("endingVersion", int(to.version))
            .table(self.table.quoted)
        )
        return told(changes, operation_of("_change_type", _GONE), f.col("_commit_version"), _TOLD)

    def _records_changes(self) -> bool:
        properties = self.spark.sql(f"SHOW TBLPROPERTIES {self.table.quoted}").collect()
        return any(row["key"] == _RECORDS and row["value"].lower() == "true" for row in properties)
