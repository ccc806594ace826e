"""Load a DataFrame by one call: the arguments of a program become a load to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from pyspark.sql import DataFrame

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import scripts
from jobs.dbaccess.load.copying.direct import AUTO, PARTS, PUBLISHING, check_parts
from jobs.dbaccess.load.definitions.alterations import STRICT
from jobs.dbaccess.load.definitions.shape import parse_partition_by
from jobs.dbaccess.load.kept.notes import KEPT_FOR, check_keep
from jobs.dbaccess.load.ledger import MARKER_TABLE, Ledger
from jobs.dbaccess.load.move.changes import Changes, History
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.rejects.policy import ERROR, FAIL, STRIP, Policy
from jobs.dbaccess.sql import TableName
from jobs.flows.load import over_connect
from jobs.flows.load.defined import Defined
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.pace.governor import Limits
from jobs.flows.load.run import run
from jobs.flows.load.stage import Copying
from jobs.flows.report import LoadReport
from jobs.flows.spark_connect import is_remote


def load_dataframe(
    df: DataFrame,
    *,
    table: str,
    settings: Settings,
    mode: str = "append",
    keys: Sequence[str] = (),
    dedupe_order: str = "",
    skip_unchanged: str = "auto",
    overwrite_where: str | None = None,
    overwrite_strategy: str = "delete",
    max_delete_share: float | None = None,
    delete_when: str | None = None,
    delete_missing: bool = False,
    soft_delete: str | None = None,
    update_columns: Sequence[str] = (),
    update_when: str | None = None,
    order_by: Sequence[str] = (),
    new_partitions: str = "",
    as_of: str | None = None,
    history_columns: Sequence[str] = (),
    overriding: str = "",
    load_id: str | None = None,
    wait_for_load: int = locks.LONGEST_WAIT,
    marker_table: str = MARKER_TABLE,
    create: bool = True,
    column_types: Mapping[str, str] | None = None,
    metadata_columns: Mapping[str, str] | None = None,
    indexes: Sequence[str] = (),
    partition_by: str | None = None,
    not_null: bool = False,
    schema_mode: str = STRICT,
    null_values: Collection[str] = (),
    nul: str = ERROR,
    strip_nul: bool = False,
    before_sql: str | None = None,
    after_sql: str | None = None,
    verify: bool = False,
    publish: str = AUTO,
    keep_staging: bool | float = False,
    parallelism: int | None = None,
    lock_timeout: int | None = None,
    max_replica_lag: float | None = None,
    max_wal_rate: float | None = None,
    show_values: bool = False,
    on_error: str = FAIL,
    max_errors: int | None = None,
    max_error_rate: float | None = None,
) -> LoadReport:
    """Load a DataFrame into a table, all of its rows or none.

    A DataFrame of Spark Connect is written by `pgcopy`, on the server. Some arguments are refused there.

    Args:
        df: The rows. Their columns are matched with the table's by name.
        table: `[schema.]table`.
        settings: The settings of the connection.
        mode: "append", "overwrite" (replace all rows), "upsert" (insert, or update the row with the same keys),
            "ignore" (insert rows whose keys are not in the table), "history" (each row becomes a version of its key) or
            "replace-partitions" (each partition of the table for which there are rows holds these alone).
        keys: The columns that identify a row, for upsert, ignore, and overwrite by difference.
        dedupe_order: For example "updated_at desc": of rows with the same keys, only the first is loaded.
            Without it, they are an error.
        skip_unchanged: Whether an upsert leaves out rows that are equal to the table's: "yes", "no", or "auto", which
            decides by a sample.
        overwrite_where: For the mode "overwrite": replace only the rows that meet this SQL condition, which all new
            rows must meet. It becomes part of statements: take it only from people you trust.
        overwrite_strategy: For the mode "overwrite": "delete" replaces all rows, "truncate" likewise, while readers
            wait, and "diff" writes only what differs from the table's rows, by `keys`.
        max_delete_share: For the strategy "diff", and for upserts and histories that delete: the load fails if it would
            delete more than this share of the table's rows. By default, `delete_missing` may delete 0.2 of them, and
            any number may be deleted otherwise. 1 allows all.
        delete_when: For the mode "upsert": delete the table's row if this SQL condition over `source`, the row of the
            data, is true. The table need not have its columns. Take conditions only from people you trust.
        delete_missing: Likewise, delete the rows whose keys the data lacks.
        soft_delete: A boolean or timestamp column of the table that marks rows instead of deleting them.
        update_columns: For the mode "upsert": the columns to update, by default all that are no keys.
        update_when: Likewise, a condition over `source` and `target`, the table's row: others are not updated.
        order_by: Of rows with the same keys, the last in the order of these columns is loaded. Several are an error.
        new_partitions: The rule by which partitions are created that rows lack: "day", "1 week", "month", "6 hours",
            "day in Europe/Berlin", "1000" (of integers), "value" (of a list), or "auto", as the others are. "no"
            creates none. The default is "auto" for the mode "replace-partitions", and "no" for the others.
        as_of: For the mode "history": from when on the data is valid, a column of it or a time; by default that of the
            load.
        history_columns: Likewise, the table's columns for the begin and the end of a version, and for whether it is the
            current one; by default valid_from, valid_to and is_current.
        overriding: If the data has identity columns: "system" loads its values in place of the server's, also if they
            are GENERATED ALWAYS; "user" leaves them out, so that the server numbers the rows.
        load_id: The name of this load: after a load of this id was published, another one does nothing.
            Without it, each call is a load of its own.
        wait_for_load: The longest time to wait for another run of this load id, in seconds.
        marker_table: `[schema.]table` that records the load; created if it is missing.
        create: Whether to create the table if it is missing. The keys become its primary key.
        column_types: Types by column, for a table that the load creates, with what may follow a type in CREATE TABLE.
            Columns that the data does not have are added.
        metadata_columns: Likewise, columns to add to the table if it lacks them, whether it is new or not.
        indexes: Indexes of a table that the load creates, built when its rows are in it: columns or expressions, or
            what follows the table in CREATE INDEX, from USING or a parenthesis on. UNIQUE may come before.
        partition_by: How a table that the load creates is partitioned: "range(day)", with `new_partitions`,
            "list(country)" or "hash(id, 8)".
        not_null: Whether columns of a table that the load creates are NOT NULL if the DataFrame's schema says so.
        schema_mode: What the load may change in an existing table, when it is published: "strict" changes nothing,
            "add-columns" adds those that the data has and the table lacks, and "widen" also changes types to wider ones
            where nothing can be lost.
        null_values: Strings that stand for NULL, in the data's columns of strings.
        nul: What to do about characters that the server cannot store (NUL, bytes that are not UTF-8, and what the
            database's encoding lacks): "error" refuses their rows, "strip" removes them, and "replace" puts U+FFFD in
            their place, or "?" where the encoding lacks that.
        strip_nul: The same as nul="strip".
        before_sql: Statements to run in the publishing transaction before the rows are moved.
        after_sql: Likewise, after they were moved, and verified.
        verify: Whether to compare the table's rows with what Spark encoded, by sums of hashes, before the commit.
        publish: How the rows come into the table: "staged", by one transaction; "parts", by one for each part, so that
            readers see parts arrive, and a rerun of the load id copies only what is missing; or "auto", which copies
            one small part straight into the table, and stages all else.
        keep_staging: Whether staging stays if the load fails, so that a rerun of the load id, with the same rows,
            copies only what is missing: True for 7 days, or a number of seconds. The rows have to come from files or
            ranges, by projections and filters.
        parallelism: The most connections at once; by default half of the server's free connections.
        lock_timeout: The longest time to wait for each lock of the table and its rows, in seconds. Without it, the
            setting `lock_timeout` of the user applies, which by default has no limit.
        max_replica_lag: How far the server's standbys may be behind, in seconds: until they have caught up, no further
            part is copied and no further slice of rows is published.
        max_wal_rate: Likewise, how much WAL the server may write, with that of others, in bytes per second.
        show_values: Whether an error shows the value of a row that the server refuses.
        on_error: What to do about rows that the server refuses: "fail", so that nothing is loaded, or "quarantine",
            which puts them aside in the table `<table>_rejects` and loads the others.
        max_errors: With "quarantine", the load fails if more rows than that are rejected.
        max_error_rate: Likewise, if more than this share of all rows is rejected.

    Raises:
        UsageError: The data does not fit the table, or the arguments are invalid. Nothing was copied.
        JobError: The load failed. Nothing of it is in the table.
    """
    if publish not in PUBLISHING:
        raise UsageError(f"{publish!r} is not one of {', '.join(PUBLISHING)}.")
    move = Move(
        mode,
        (),
        tuple(keys),
        order_of(dedupe_order or None, order_by),
        skip_unchanged,
        where=overwrite_where,
        strategy=overwrite_strategy,
        max_delete_share=max_delete_share,
        changes=Changes(
            delete_when=delete_when,
            delete_missing=delete_missing,
            soft_delete=soft_delete,
            update_columns=tuple(update_columns),
            update_when=update_when,
            order_by=tuple(order_by),
        ),
        new_partitions=new_partitions,
        history=History.of(history_columns, as_of),
        overriding=overriding,
    )
    partitioning = None if partition_by is None else parse_partition_by(partition_by)
    sql = scripts.parse(before_sql, after_sql)
    if publish == PARTS:
        check_parts(
            move,
            bool(sql),
            verify=verify,
            has_id=load_id is not None,
            has_indexes=bool(indexes),
            is_partitioned=partition_by is not None,
            schema_mode=schema_mode,
        )
    keep = None if keep_staging is False else KEPT_FOR if keep_staging is True else keep_staging
    check_keep(keep, move, publish, has_id=load_id is not None)
    job = LoadJob(
        table=TableName.parse(table),
        settings=settings,
        load_id=new_load_id() if load_id is None else load_id,
        move=move,
        create=create,
        copying=Copying(parallelism),
        wait_for_load=wait_for_load,
        verify=verify,
        scripts=sql,
        publish=publish,
        keep_staging=keep,
        show_values=show_values,
        policy=Policy(on_error, max_errors, max_error_rate),
        ledger=Ledger.parse(marker_table),
        lock_timeout=lock_timeout,
        defined=replace(
            Defined.of(column_types, metadata_columns, indexes),
            partition_by=partitioning,
            not_null=not_null,
            schema_mode=schema_mode,
        ),
        null_values=tuple(null_values),
        limits=Limits(max_replica_lag, max_wal_rate),
        nul=STRIP if strip_nul and nul == ERROR else nul,
    )
    return over_connect.load(df, job) if is_remote(df) else run(job, lambda: df)
