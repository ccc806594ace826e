"""Reads a table as a stream: each batch is a window of transactions, and each row version is in one window.

An offset is the id below which all transactions have been read, and the table's oid. `watermark` explains why it is not
the greatest ordinal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition

from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import ExtractError, UsageError
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.attachments import attached, table_oid
from jobs.dbaccess.extract.window import Window, reached, window_since
from jobs.dbaccess.session import Session
from jobs.flows.extract.incremental import check_ordinal, check_tells_new
from jobs.flows.extract.plan import find_source, hold_source, plan_columns, plan_extract
from jobs.pgcopy.reader import Part, Reach

Offset = dict[str, int]

_FIRST = 0
"""The offset before all transactions; no transaction has this id."""

_ALL_AGAIN = "Begin a new stream with a new checkpoint, which reads all rows."


class StreamReader(DataSourceStreamReader):
    """Reads new rows. Spark creates it in a process of the driver that lives as long as the query.

    Args:
        reach: What is read.
        most: The number of rows after which a batch ends, with the transaction that wrote the last of them; None for no
            limit.
        ordinal: The column that orders a row's versions; it may be empty.
    """

    def __init__(self, reach: Reach, most: int | None, ordinal: str) -> None:
        if reach.wanted.table is None:
            raise UsageError("The new rows of a query cannot be determined.", "Give the option table.")
        self.reach = reach
        self.most = most
        self.ordinal = ordinal
        self._taken = {"below": _FIRST}
        self._held: ExitStack | None = None

    def initialOffset(self) -> Offset:  # noqa: N802 - Spark's name
        """Return the offset before all rows."""
        return {"below": _FIRST}

    def latestOffset(self) -> Offset:  # noqa: N802 - Spark's name
        """Return the end of the next batch: no running transaction can write a row before it."""
        self.stop()
        reach = self.reach
        with reach.connector.open() as session:
            exported = hold_source(session, reach.wanted)
            table = self._table(session)
            oid = self._same_table(session, table, self._taken)
            window = self._window(exported.seen)
            if window.xmin == self._taken["below"]:  # none has ended since, which needs no look at the table
                return self._taken
            window = attached(session, table.name, window)
            selection, _ = plan_columns(session, reach.wanted, table, window.condition)
            xmin = reached(session, selection, window, self.most)
        return self._taken if xmin is None else {"below": xmin, "table": oid}

    def partitions(self, start: Offset, end: Offset) -> Sequence[Part]:
        """Plan the parts of a batch, in a snapshot that is held until the batch is done.

        After a restart, Spark reports its position by an empty batch.
        """
        self.stop()
        self._taken = start
        if start == end:
            return []
        reach = self.reach
        with ExitStack() as stack:
            session = stack.enter_context(reach.connector.open("snapshot"))
            exported = hold_source(session, reach.wanted)
            xmax = self._window(exported.seen).xmax
            window = Window(start["below"] or None, end["below"], xmax)
            with reach.connector.at(session.server).open("plan") as planner, snapshot.adopted(planner, exported):
                table = self._table(planner)
                self._same_table(planner, table, end)
                window = attached(planner, table.name, window)
                plan = plan_extract(planner, reach.wanted, table, window.condition)
            parts = reach.parts(plan, exported, session.server)
            self._held = stack.pop_all()
        self._taken = end
        return parts

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """On an executor: copy a part."""
        assert isinstance(partition, Part)  # noqa: S101 - Spark hands back what `partitions` gave
        return self.reach.read(partition)

    def commit(self, end: Offset) -> None:  # noqa: ARG002 - Spark's own signature
        """Release the snapshot of the batch, which is done."""
        self.stop()

    def stop(self) -> None:
        """Release the snapshot."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _table(self, session: Session) -> Table:
        table = find_source(session, self.reach.wanted)
        check_tells_new(session, table)
        assert table is not None  # noqa: S101 - that was checked
        if self.ordinal:
            check_ordinal(session, self.ordinal, table)
        return table

    def _same_table(self, session: Session, table: Table, known: Offset) -> int:
        """Return the table's oid, which must be that of the offset. Offsets of older versions have none."""
        oid = table_oid(session, table.name)
        if known.get("table", oid) != oid:
            raise ExtractError(
                f"{self.reach.wanted} is not the table that the stream began with (its oid was {known['table']}, and "
                f"is {oid}): which of its rows are new is not known.",
                _ALL_AGAIN,
            )
        return oid

    def _window(self, seen: str) -> Window:
        """Return the window from the last offset to the transactions that a snapshot sees completed."""
        if not seen:
            raise UsageError("A standby does not know which transactions have ended.", "Connect to the primary.")
        return window_since(seen, self._taken["below"], _ALL_AGAIN)
