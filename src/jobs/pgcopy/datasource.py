"""`pgcopy` as Spark 4 calls it: from the options to a reader or writer."""

from __future__ import annotations

import os

from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    DataSourceStreamReader,
    DataSourceStreamWriter,
    DataSourceWriter,
)
from pyspark.sql.types import StructType

from jobs.dbaccess.errors import UsageError
from jobs.flows.load.job import new_load_id
from jobs.pgcopy import snapshot_desk
from jobs.pgcopy.options import LONGEST_BATCH, Options
from jobs.pgcopy.reader import BatchReader, Reach, discover
from jobs.pgcopy.stream_reader import StreamReader
from jobs.pgcopy.writer import BatchWriter, Destination


class PostgresCopyDataSource(DataSource):
    """Tables and queries of PostgreSQL by COPY. Spark creates it on the driver, where it returns what executors run.

    Raises:
        UsageError: An option is unknown, or its value cannot be right.
    """

    travelled = False
    """Whether this object was pickled."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        # Spark creates this object once for each load(), and pickles it for each plan. (Spark 4.0 plans every scan.)
        self.number = snapshot_desk.new_number()

    @classmethod
    def name(cls) -> str:
        """Return the name for `format()`."""
        return "pgcopy"

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, travelled=True)

    def schema(self) -> StructType:
        """Return the columns of the table or query, according to the catalog."""
        options = self._options()
        wanted = options.wanted()
        return discover(options.connector(os.environ, wanted), wanted)

    def reader(self, schema: StructType) -> DataSourceReader:
        """Read a table or query in one snapshot."""
        options = self._options()
        each_action, idle = options.snapshots()
        return BatchReader(self._reach(options, schema), self.number, idle, each_action)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 - Spark's name
        """Read new rows, in batches."""
        options = self._options()
        reach = self._reach(options, schema)
        return StreamReader(reach, options.number("maxRowsPerBatch"), options.text("ordinalColumn"))

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """Write all rows or none."""
        options = self._options()
        load_id = options.identity("loadId") or new_load_id()
        return BatchWriter(self._destination(options, overwrite), schema, load_id)

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:  # noqa: N802 - Spark's name
        """Write each batch once.

        Spark calls this twice for a batch: on a new object to plan its tasks, and on a pickled one to commit or abort.
        """
        try:
            from jobs.pgcopy.stream_writer import StreamCommitter, StreamWriter
        except ImportError:
            raise UsageError(
                "A stream into a table needs Spark 4.1: Spark 4.0 passes rows one by one.",
                "Write each batch with foreachBatch, and a loadId that has its number.",
            ) from None
        options = self._options()
        stream = options.identity("streamId", reserved=LONGEST_BATCH)
        if stream is None:
            raise UsageError(
                "A stream into a table needs a name of its own, to recognize a batch that comes again.",
                "Give the option streamId, with the same value after each restart from the same checkpoint.",
            )
        destination = self._destination(options, overwrite)
        if destination.move.replaces_partitions:
            raise UsageError(
                "A stream adds rows batch by batch, and the mode replace-partitions would drop those of earlier ones.",
                "Write each batch with foreachBatch, if that is what you want.",
            )
        return StreamCommitter(destination, stream) if self.travelled else StreamWriter(destination, schema, stream)

    def _options(self) -> Options:
        return Options.parse(self.options)

    @staticmethod
    def _reach(options: Options, schema: StructType) -> Reach:
        wanted = options.wanted()
        return Reach(options.connector(os.environ, wanted), wanted, schema)

    @staticmethod
    def _destination(options: Options, overwrite: bool) -> Destination:
        table = options.table()
        return Destination(
            options.connector(os.environ, table),
            table,
            options.move(overwrite),
            options.flag("create", default=True),
            options.ledger(),
            defined=options.defined(),
            null_values=options.null_values(),
        )
