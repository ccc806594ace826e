"""The change feed of a capture's files: its batches, each in a folder `pgjobs_batch=NUMBER` that has _SUCCESS.

The next batch is newer than all that there are when it begins. A folder that never gets _SUCCESS is none: a later batch
tells its changes again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.followed.source_position import Position
from jobs.dbaccess.load.move.changes import OPERATION
from jobs.spark import hadoop_files
from jobs.spark.hadoop_files import Folder

KIND = "batches"
COLUMN = "pgjobs_batch"
_FOLDER = re.compile(rf"{COLUMN}=(\d+)")
_OF_A_CAPTURE = re.compile(rf"/(?:{COLUMN}=|_)")
"""What is in a path of a capture's, or of a writer's own, that has not completed a batch."""


@dataclass(frozen=True)
class BatchesFeed:
    """A folder of batches.

    Attributes:
        path: The folder.
        batches: The folders of its complete batches, by their numbers.
        read: Reads the files below some paths. Names of folders are columns.
    """

    path: str
    batches: Mapping[int, Folder]
    read: Callable[[list[str]], DataFrame]
    has_all_rows: bool = False
    tells_how_rows_were: bool = False
    order: tuple[str, ...] = (COLUMN,)

    def now(self) -> Position | None:
        """Return the newest batch."""
        return self._position(max(self.batches)) if self.batches else None

    def columns(self) -> Mapping[str, int]:
        """Return none: a capture tells all rows again if its columns changed."""
        return {}

    def lost(self, since: Position, to: Position) -> str:
        """Return why later batches do not follow on one: it is not there any more, or is another one."""
        number = int(since.version)
        if number not in self.batches:
            return "the folder does not have this batch any more. The newest batch that was loaded has to stay"
        if number > int(to.version) or self._position(number) != since:
            return "the folder has another batch of this number: it was written by another capture"
        return ""

    def rows(self, at: Position) -> DataFrame:
        """Return all batches up to one, as changes."""
        return self._read(-1, int(at.version))

    def changes(self, since: Position, to: Position) -> DataFrame:
        """Return the batches after one, up to another one."""
        return self._read(int(since.version), int(to.version))

    def _read(self, after: int, last: int) -> DataFrame:
        df = self.read([self.batches[number].path for number in sorted(self.batches) if after < number <= last])
        if OPERATION not in df.columns or COLUMN not in df.columns:
            raise LoadError(
                f"The files of {self.path} contain no changes: they have no column {OPERATION}.",
                "Nothing was loaded. Give the folder of a capture (capture_changes.py --target).",
            )
        return df

    def _position(self, number: int) -> Position:
        return Position(KIND, self.path, str(number), committed=self.batches[number].complete_since)


def batches_in(spark: SparkSession, path: str) -> Mapping[int, Folder]:
    """Return the folders of complete batches by their numbers; none if the capture has not written any yet.

    Raises:
        UsageError: The folder does not exist, which a capture makes first, or has files, and none of a capture.
    """
    if not hadoop_files.exists(spark, path):
        raise UsageError(
            f"There is no folder {path}.",
            "Check its name, or start the capture (capture_changes.py --target), which makes it at first.",
        )
    found = {}
    for folder in hadoop_files.folders(spark, path, "_SUCCESS"):
        named = _FOLDER.fullmatch(folder.name)
        if named:
            found[int(named[1])] = folder
    files = [] if found else hadoop_files.below(spark, path)
    others = [file for file in files if not _OF_A_CAPTURE.search(file)]
    if others:
        raise UsageError(
            f"{path} has no batches of a capture, but other files, such as {others[0]}.",
            "Give the folder of a capture (capture_changes.py --target).",
        )
    return found
