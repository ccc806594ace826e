"""What a source of changes is to tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from jobs.copyformat.encode_spark import backquoted
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.followed.decision import FLAG, FULL
from jobs.dbaccess.load.followed.source_position import Position
from jobs.dbaccess.load.move.changes import OPERATION

ORDINAL = "_ordinal"
"""The column that orders the changes of a row."""

DELETE, UPSERT = "D", "U"
"""Values of OPERATION. A commit that does both to a key updates its row, or gives the key to another row. So of two
changes of a key by one commit, the greater of these counts."""

LAKES_ORDER = (ORDINAL, OPERATION)
"""The order of what `told` returns."""


class Feed(Protocol):
    """A source whose changes are followed."""

    @property
    def has_all_rows(self) -> bool:
        """Whether `rows` are certainly all that the source has: the table's other rows can be deleted then."""

    @property
    def tells_how_rows_were(self) -> bool:
        """Whether the deletion of a row has the values that it had, and an update is told as one, too."""

    @property
    def order(self) -> tuple[str, ...]:
        """The columns of changes by which the last change of a key counts."""

    def now(self) -> Position | None:
        """Return the state of the source; None if it has none yet, and no rows."""

    def columns(self) -> Mapping[str, int]:
        """Return the columns with their numbers, as a `Definition` has them."""

    def lost(self, since: Position, to: Position) -> str:
        """Return why the changes after a state, up to another one, cannot be read; empty if they can."""

    def rows(self, at: Position) -> DataFrame:
        """Return the rows of a state. They may be told as changes, from the first one on."""

    def changes(self, since: Position, to: Position) -> DataFrame:
        """Return what changed after a state, up to another one.

        Each row has OPERATION and the columns of `order`. A row that was deleted has at least its keys. A row that was
        updated may be told twice: as it was, as deleted, and as it is.
        """


def told(df: DataFrame, operation: Column, ordinal: Column, without: tuple[str, ...] = ()) -> DataFrame:
    """Return changes of a lake's table with OPERATION and ORDINAL.

    Args:
        df: The changes.
        operation: DELETE or UPSERT.
        ordinal: The place of the commit in their order.
        without: Columns that the table does not have.

    Raises:
        UsageError: The table itself has columns of these names.
    """
    columns = [df[backquoted(name)] for name in df.columns if name not in without]
    check_free(df)
    return df.select(*columns, ordinal.cast("bigint").alias(ORDINAL), operation.alias(OPERATION))


def check_free(df: DataFrame) -> None:
    """Check that a lake's table has no columns of the names by which changes are told.

    Raises:
        UsageError: It has.
    """
    taken = [name for name in df.columns if name.casefold() in (OPERATION, ORDINAL)]
    if taken:
        raise UsageError(
            f"The table has a column {taken[0]}, a name by which pgjobs reports changes.",
            "Rename it, or load all rows.",
        )


def check_comparable(df: DataFrame) -> None:
    """Check that rows of a lake's table can be compared with each other, by which it is known what changed.

    Raises:
        UsageError: A column has maps.
    """
    maps = [field.name for field in df.schema if "map<" in field.dataType.simpleString()]
    if maps:
        raise UsageError(
            f"The column {maps[0]} has maps, which Spark cannot compare, so changes of it cannot be found.",
            f"Load all rows each time: {FLAG} {FULL}.",
        )


def operation_of(change_type: str, deletes: tuple[str, ...]) -> Column:
    """Return the operation, by the column in which a lake tells it.

    Args:
        change_type: The column.
        deletes: Its values for rows that are not there any more, or not any more as they were.
    """
    return f.when(f.col(change_type).isin(*deletes), f.lit(DELETE)).otherwise(f.lit(UPSERT))
