"""The change feed of an Iceberg table: its snapshots, and the changelog between two of them.

The changelog is that of the procedure `create_changelog_view`, without rows that were only copied from one file to
another. It leaves out snapshots that replaced files with others of the same rows. For a range with delete files
("merge-on-read"), Iceberg has no changelog, so the rows of both snapshots are compared.

https://iceberg.apache.org/docs/latest/spark-procedures/#create_changelog_view
https://iceberg.apache.org/docs/latest/spark-queries/#inspecting-tables
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.followed.decision import between, is_ancestor
from jobs.dbaccess.load.followed.source_position import Position
from jobs.flows.load.feeds.feed import LAKES_ORDER, check_comparable, check_free, operation_of, told
from jobs.flows.load.feeds.lake_table import LakeTable, literal
from jobs.flows.load.feeds.versions import compared
from jobs.spark.plans.lake_tables import ICEBERG, numbers_of

_TOLD = ("_change_type", "_change_ordinal", "_commit_snapshot_id")
_DELETES = 1
"""The content of a manifest that lists delete files."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IcebergFeed:
    """An Iceberg table whose changes are followed. A snapshot's id is random: no other table has it."""

    spark: SparkSession
    table: LakeTable
    has_all_rows: bool = True
    tells_how_rows_were: bool = True
    order: tuple[str, ...] = LAKES_ORDER

    def now(self) -> Position | None:
        """Return the current snapshot of the main branch.

        Raises:
            UsageError: The name is not that of a table.
        """
        query = (
            "SELECT s.snapshot_id, CAST(s.committed_at AS string) "
            f"FROM {self.table.metadata('refs')} AS r JOIN {self.table.metadata('snapshots')} AS s "
            "ON s.snapshot_id = r.snapshot_id WHERE r.name = 'main'"
        )
        try:
            rows = self.spark.sql(query).collect()
        except AnalysisException:
            raise UsageError(
                f"{self.table} is a branch, a tag, a snapshot or the metadata of a table, and changes are those of the "
                "table's main branch.",
                "Name the table itself, or leave out --changes-since-ledger to load all rows.",
            ) from None
        if not rows:
            return None
        [[version, committed]] = rows
        return Position(ICEBERG, str(self.table), str(version), committed=str(committed))

    def columns(self) -> Mapping[str, int]:
        """Return the ids of the fields that the table has now."""
        return numbers_of(self.spark.table(self.table.quoted))

    def lost(self, since: Position, to: Position) -> str:
        """Return why changes cannot be read: the snapshot was expired, or rolled back, or the table is another one."""
        parents = self._parents()
        if since.version not in parents:
            return "the table does not have this snapshot any more: it was expired, or the table is another one"
        if not is_ancestor(parents, since.version, to.version):
            return "this snapshot is not in the history of the current one: the table was rolled back or replaced"
        return ""

    def rows(self, at: Position) -> DataFrame:
        """Return the rows of a snapshot, with the columns that the table has now, as the changelog has them."""
        df = self.spark.read.option("snapshot-id", at.version).table(self.table.quoted)
        check_free(df)
        return df

    def changes(self, since: Position, to: Position) -> DataFrame:
        """Return the changelog between two snapshots."""
        check_comparable(self.spark.table(self.table.quoted))
        if self._has_delete_files(since, to):
            logger.info("%s has delete files, for which Iceberg has no changelog: snapshots are compared.", self.table)
            return compared(self.rows(since), self.rows(to))
        view = f"pgjobs_changes_{uuid.uuid4().hex}"
        options = f"map('start-snapshot-id', '{int(since.version)}', 'end-snapshot-id', '{int(to.version)}')"
        try:
            self.spark.sql(
                f"CALL {self.table.catalog}.system.create_changelog_view(table => {literal(self.table.quoted)}, "
                f"options => {options}, changelog_view => '{view}', compute_updates => false)"
            )
        except ParseException:
            raise UsageError(
                "Spark does not know Iceberg's procedures, one of which returns the changes of a table.",
                "Give --conf spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions.",
            ) from None
        changes = self.spark.table(view)
        self.spark.catalog.dropTempView(view)
        return told(changes, operation_of("_change_type", ("DELETE",)), f.col("_change_ordinal"), _TOLD)

    def _parents(self) -> dict[str, str | None]:
        rows = self.spark.sql(f"SELECT snapshot_id, parent_id FROM {self.table.metadata('snapshots')}").collect()
        return {str(version): None if parent is None else str(parent) for version, parent in rows}

    def _has_delete_files(self, since: Position, to: Position) -> bool:
        """Return whether a snapshot in a range has delete files, be they older ones."""
        snapshots = ", ".join(between(self._parents(), since.version, to.version))
        found = self.spark.sql(
            f"SELECT 1 FROM {self.table.metadata('all_manifests')} "
            f"WHERE content = {_DELETES} AND reference_snapshot_id IN ({snapshots}) LIMIT 1"
        ).collect()
        return bool(found)
