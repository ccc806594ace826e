"""Load several DataFrames by one call, as a release: the arguments of a program become loads to do together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.copying.direct import STAGED
from jobs.dbaccess.load.definitions.shape import parse_partition_by
from jobs.dbaccess.load.ledger import MARKER_TABLE, Ledger
from jobs.dbaccess.load.move.changes import Changes, History
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.rejects.policy import ERROR, FAIL, Policy
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import Defined
from jobs.flows.load.files import Rows
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.pace.governor import Limits
from jobs.flows.load.stage import Copying
from jobs.flows.load.together.job import Member, Release, run
from jobs.flows.load.together.report import ReleaseReport
from jobs.flows.spark_connect import is_remote


@dataclass(frozen=True)
class ReleaseTable:
    """A table of a release: its rows, and how they are loaded.

    Attributes:
        df: The rows.
        table: `[schema.]table`.

    All others are as for `load_dataframe`.
    """

    df: DataFrame
    table: str
    mode: str = "append"
    keys: Sequence[str] = ()
    dedupe_order: str = ""
    skip_unchanged: str = "auto"
    overwrite_where: str | None = None
    overwrite_strategy: str = "delete"
    max_delete_share: float | None = None
    delete_when: str | None = None
    delete_missing: bool = False
    soft_delete: str | None = None
    update_columns: Sequence[str] = ()
    update_when: str | None = None
    order_by: Sequence[str] = ()
    as_of: str | None = None
    history_columns: Sequence[str] = ()
    overriding: str = ""
    null_values: Collection[str] = ()
    nul: str = ERROR
    create: bool = True
    column_types: Mapping[str, str] | None = None
    indexes: Sequence[str] = ()
    partition_by: str | None = None
    not_null: bool = False
    verify: bool = False
    on_error: str = FAIL
    max_errors: int | None = None
    max_error_rate: float | None = None

    @property
    def move(self) -> Move:
        """How rows are moved.

        Raises:
            UsageError: An order or the columns of a history are none.
        """
        return Move(
            self.mode,
            (),
            tuple(self.keys),
            order_of(self.dedupe_order or None, self.order_by),
            self.skip_unchanged,
            where=self.overwrite_where,
            strategy=self.overwrite_strategy,
            max_delete_share=self.max_delete_share,
            changes=Changes(
                delete_when=self.delete_when,
                delete_missing=self.delete_missing,
                soft_delete=self.soft_delete,
                update_columns=tuple(self.update_columns),
                update_when=self.update_when,
                order_by=tuple(self.order_by),
            ),
            history=History.of(self.history_columns, self.as_of),
            overriding=self.overriding,
        )

    @property
    def defined(self) -> Defined:
        """What a table is to be that the release creates.

        Raises:
            UsageError: It cannot be partitioned like that.
        """
        partitioning = None if self.partition_by is None else parse_partition_by(self.partition_by)
        defined = Defined.of(self.column_types, None, self.indexes)
        return replace(defined, partition_by=partitioning, not_null=self.not_null)

    @property
    def read(self) -> Callable[[], Rows]:
        """A function that returns the rows."""
        return lambda: Rows(self.df)


def load_release(
    tables: Sequence[ReleaseTable],
    *,
    settings: Settings,
    load_id: str | None = None,
    wait_for_load: int = locks.LONGEST_WAIT,
    marker_table: str = MARKER_TABLE,
    parallelism: int | None = None,
    lock_timeout: int | None = None,
    max_replica_lag: float | None = None,
    max_wal_rate: float | None = None,
    show_values: bool = False,
) -> ReleaseReport:
    """Load DataFrames into several tables, by one transaction: all rows of all tables, or none.

    A reader that joins the tables never sees two releases. Foreign keys between them decide in which order rows are
    moved. DataFrames of Spark Connect are refused.

    Args:
        tables: The tables and their rows.
        settings: The settings of the connection.
        load_id: The name of this release: after one of this id was published, another one does nothing.
            Without it, each call is a release of its own.
        wait_for_load: The longest time to wait for another run of this load id, in seconds.
        marker_table: `[schema.]table` that records the release; created if it is missing.
        parallelism: The most connections at once; by default half of the server's free connections.
        lock_timeout: The longest time to wait for each lock of a table and its rows, in seconds. Without it, the
            setting `lock_timeout` of the user applies, which by default has no limit.
        max_replica_lag: How far the server's standbys may be behind, in seconds: until they have caught up, no further
            part is copied and no further slice of rows is published.
        max_wal_rate: Likewise, how much WAL the server may write, with that of others, in bytes per second.
        show_values: Whether an error shows the value of a row that the server refuses.

    Raises:
        UsageError: The data does not fit a table, or the arguments are invalid. Nothing was copied.
        JobError: The release failed. Nothing of it is in any table.
    """
    remote = [one.table for one in tables if is_remote(one.df)]
    if remote:
        raise UsageError(
            f"The rows for {', '.join(remote)} are of Spark Connect, by which tables are written one by one.",
            "Load from a session without Connect, such as by load_release.py.",
        )
    release_id = new_load_id() if load_id is None else load_id
    jobs = [
        LoadJob(
            table=TableName.parse(one.table),
            settings=settings,
            load_id=release_id,
            move=one.move,
            create=one.create,
            defined=one.defined,
            copying=Copying(parallelism),
            wait_for_load=wait_for_load,
            verify=one.verify,
            publish=STAGED,
            show_values=show_values,
            policy=Policy(one.on_error, one.max_errors, one.max_error_rate),
            ledger=Ledger.parse(marker_table),
            lock_timeout=lock_timeout,
            null_values=tuple(one.null_values),
            limits=Limits(max_replica_lag, max_wal_rate),
            nul=one.nul,
        )
        for one in tables
    ]
    return run(Release(tuple(Member(job, one.read) for job, one in zip(jobs, tables))))
