"""Reads a table as a stream: each batch is a window of transactions, and each row version is in one window.

An offset is the id below which all transactions have been taken. See `watermark` for why not the greatest ordinal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition

from jobs.dbaccess import snapshot, watermark
from jobs.dbaccess.catalog import Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.watermark import Watermark, Window
from jobs.flows.newer import check_ordinal, check_tells_new
from jobs.flows.source import find_source, hold_source, settle_readings, settle_source
from jobs.pgcopy.reader import Part, Reach

Offset = dict[str, int]

_FIRST = 0
"""The offset before all transactions; no transaction has this id."""


class StreamReader(DataSourceStreamReader):
    """Reads what is new. Spark makes it in a process of the driver's that lives as long as the query.

    Args:
        reach: what is read.
        most: rows after which a batch ends, with the transaction that wrote the last of them; None for no end.
        ordinal: the column that orders a row's versions, which comes along; it may be empty.
    """

    def __init__(self, reach: Reach, most: int | None, ordinal: str) -> None:
        if reach.wanted.table is None:
            raise UsageError("Which rows of a query are new cannot be told.", "Give the option table.")
        self.reach = reach
        self.most = most
        self.ordinal = ordinal
        self._taken = _FIRST
        self._held: ExitStack | None = None

    def initialOffset(self) -> Offset:  # noqa: N802 - Spark's name
        """Before all that is there."""
        return {"below": _FIRST}

    def latestOffset(self) -> Offset:  # noqa: N802 - Spark's name
        """How far the next batch may go: to what no running transaction can write below any more."""
        self.stop()
        reach = self.reach
        with connect(reach.settings, reach.label) as session:
            moment = hold_source(session, reach.wanted)
            table = self._table(session)
            window = self._window(moment.seen)
            if window.below == self._taken:  # no transaction has ended since: the table need not be read to see that
                return {"below": self._taken}
            selection, _ = settle_readings(session, reach.wanted, table, window.condition)
            below = watermark.reached(session, selection, window, self.most)
        return {"below": self._taken if below is None else below}

    def partitions(self, start: Offset, end: Offset) -> Sequence[Part]:
        """The parts of a batch, in a snapshot that is held until the batch is done.

        After a restart, Spark tells by an empty batch how far it had come.
        """
        self.stop()
        self._taken = start["below"]
        if start == end:
            return []
        reach = self.reach
        with ExitStack() as stack:
            session = stack.enter_context(connect(reach.settings, f"{reach.label} snapshot"))
            moment = hold_source(session, reach.wanted)
            after = self._window(moment.seen).after
            window = Window(start["below"] or None, end["below"], after)
            there = reach.settings.at(session.server)
            with connect(there, f"{reach.label} plan") as planner, snapshot.adopted(planner, moment):
                source = settle_source(planner, reach.wanted, self._table(planner), window.condition)
            parts = reach.parts(source, moment, session.server)
            self._held = stack.pop_all()
        self._taken = end["below"]
        return parts

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """On an executor: copy a part."""
        assert isinstance(partition, Part)  # noqa: S101 - Spark hands back what `partitions` gave
        return self.reach.read(partition)

    def commit(self, end: Offset) -> None:  # noqa: ARG002 - Spark's own signature
        """The batch is done: its snapshot is not needed any more."""
        self.stop()

    def stop(self) -> None:
        """Let go of the snapshot."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _table(self, session: Session) -> Table | None:
        table = find_source(session, self.reach.wanted)
        check_tells_new(session, table)
        if table is not None and self.ordinal:
            check_ordinal(session, self.ordinal, table)
        return table

    def _window(self, seen: str) -> Window:
        """From what was taken to what a snapshot sees the end of."""
        if not seen:
            raise UsageError("A standby does not tell which transactions have ended.", "Connect to the primary.")
        taken = Watermark(str(self.reach.wanted), 0, self._taken, None) if self._taken else None
        return watermark.window(seen, taken)
