"""Copies a table from one server into a table of another, for a program of one's own."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import SparkSession

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.copying.direct import STAGED
from jobs.dbaccess.load.ledger import MARKER_TABLE, Ledger
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.table_copy import through_spark
from jobs.flows.table_copy.job import CopyJob, run
from jobs.flows.table_copy.report import CopyReport


def copy_table(
    table: str,
    *,
    source: Settings,
    settings: Settings,
    source_table: str = "",
    columns: Sequence[str] = (),
    filter: str = "",  # noqa: A002 - SQL's own word, and the flag's
    split_by: str = "",
    mode: str = "append",
    keys: Sequence[str] = (),
    skip_unchanged: str = "auto",
    create: bool = True,
    load_id: str | None = None,
    wait_for_load: int = locks.LONGEST_WAIT,
    marker_table: str = MARKER_TABLE,
    parallelism: int | None = None,
    lock_timeout: int | None = None,
    verify: bool = False,
    select: str | None = None,
    spark: SparkSession | None = None,
) -> CopyReport:
    """Copy a table from one server into a table of another, all of its rows or none.

    Args:
        table: `[schema.]table` that takes the rows.
        source: The settings of the connection to the server that has them.
        settings: Those of the connection to the server of `table`.
        source_table: The table's name there; by default the same one.
        columns: The columns to copy; all by default.
        filter: An SQL expression over the columns, on the source. It becomes part of statements: take it only from
            people you trust.
        split_by: Divide into parts by ranges of this column; by default by blocks.
        mode: "append", "overwrite" (replace all rows) or "upsert" (insert, or update the row with the same keys).
        keys: The columns that identify a row, for an upsert.
        skip_unchanged: Whether an upsert leaves out rows that are equal to the table's: "yes", "no", or "auto", which
            decides by a sample.
        create: Whether to create the table if it is missing, with the types, NOT NULLs and primary key of the source.
        load_id: The name of this copy: after one of this id was published, another one does nothing.
            Without it, each call is a copy of its own.
        wait_for_load: The longest time to wait for another run of this load id, in seconds.
        marker_table: `[schema.]table` that records the copy; created if it is missing.
        parallelism: The number of parts, and so of connections to each server; by default by size.
        lock_timeout: The longest time to wait for each lock of the table and its rows, in seconds.
        verify: Whether to compare the table's rows with what the source has written, by sums of hashes, before the
            commit.
        select: A query of Spark over the view `source`, the rows of the table. Without it, no Spark is needed.
        spark: The session, for `select`.

    Raises:
        UsageError: The arguments cannot be right, or the columns do not fit. Nothing was copied.
        JobError: The copy failed. Nothing of it is in the table.
    """
    wanted = Wanted(
        table=TableName.parse(source_table or table),
        columns=tuple(columns),
        filter=filter,
        split_by=split_by,
        parallelism=parallelism,
    )
    load = LoadJob(
        table=TableName.parse(table),
        settings=settings,
        load_id=new_load_id() if load_id is None else load_id,
        move=Move(mode, (), tuple(keys), skip_unchanged=skip_unchanged),
        create=create,
        wait_for_load=wait_for_load,
        verify=verify,
        ledger=Ledger.parse(marker_table),
        lock_timeout=lock_timeout,
        publish=STAGED,
    )
    job = CopyJob(wanted, source, load)
    if select is None:
        return run(job)
    if spark is None:
        raise UsageError("A query of Spark needs a session of it.", "Give spark=.")
    session = spark
    return through_spark.run(job, select, lambda: session)
