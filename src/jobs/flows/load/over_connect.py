"""A load through Spark Connect: `pgcopy` writes the rows, and the client learns only that it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as f

from jobs.dbaccess import locks
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.copying.direct import PARTS
from jobs.dbaccess.load.definitions.alterations import STRICT
from jobs.dbaccess.load.ledger import check_id
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.modes import REPLACE_PARTITIONS, Move
from jobs.dbaccess.load.rejects.policy import ERROR
from jobs.dbaccess.sql import TableName, quote_literal
from jobs.flows.load.job import LoadJob
from jobs.flows.report import LoadReport, Stopwatch
from jobs.flows.spark_connect import FORMAT, check_version, connection_options, remote_errors_translated


def load(df: DataFrame, job: LoadJob) -> LoadReport:
    """Load a DataFrame of Spark Connect, unless a load of this id has finished.

    Raises:
        UsageError: The server's Spark, the connection or an argument does not go with Connect.
        JobError: The load failed. Nothing of it is in the table.
    """
    watch = Stopwatch()
    combinations.check(job.move)
    check_id(job.load_id)
    job.defined.check()
    check_supported(job)
    check_version(df.sparkSession.version)
    named = (job.load_id, str(job.table), job.move.mode)
    connection = connection_options(job.settings)
    with remote_errors_translated():
        if _is_recorded(df, job, connection):
            return LoadReport(*named, already_loaded=True, seconds=watch.seconds())
        seen = Observation()
        with watch.phase("copy"):
            counted = df.observe(seen, f.count(f.lit(1)).alias("rows"))
            mode = "overwrite" if job.move.mode in ("overwrite", REPLACE_PARTITIONS) else "append"
            counted.write.format(FORMAT).options(**connection, **options_of(job)).mode(mode).save()
    rows = int(seen.get["rows"])
    return LoadReport(*named, rows_read=rows, rows_staged=rows, seconds=watch.seconds(), over_connect=True)


def options_of(job: LoadJob) -> dict[str, str]:
    """Return the options of `pgcopy` for a load."""
    move, changes = job.move, job.move.changes
    options = {
        "table": str(job.table),
        "loadId": job.load_id,
        "markerTable": str(job.ledger.table),
        "create": str(job.create).lower(),
        "mode": move.mode,
        "keys": ",".join(move.keys),
        "dedupeOrder": "" if changes.order_by else ", ".join(order.quoted for order in move.order),
        "skipUnchanged": move.skip_unchanged,
        "overriding": move.overriding,
        "columnType": _as_json({one.name: one.sql for one in job.defined.types}),
        "metadataColumns": _as_json({one.name: one.sql for one in job.defined.metadata}),
        "schemaMode": job.defined.schema_mode if job.defined.schema_mode != STRICT else "",
        "deleteWhen": changes.delete_when or "",
        "deleteMissing": str(changes.delete_missing).lower() if changes.delete_missing else "",
        "maxDeleteShare": "" if move.max_delete_share is None else f"{move.max_delete_share!r}",
        "softDelete": changes.soft_delete or "",
        "updateColumns": ",".join(changes.update_columns),
        "updateWhen": changes.update_when or "",
        "orderBy": ",".join(changes.order_by),
        "nullValue": json.dumps(job.null_values) if job.null_values else "",
    }
    return {name: text for name, text in options.items() if text}


def check_supported(job: LoadJob) -> None:
    """Check that `pgcopy` has all that is asked for.

    Raises:
        UsageError: It names what is lacking.
    """
    move, copying = job.move, job.copying
    asked = {
        "overwrite_where": move.where is not None,
        "overwrite_strategy": move.strategy != Move("append", ()).strategy,
        "new_partitions": move.new_partitions not in ("", "no" if not move.replaces_partitions else "auto"),
        "wait_for_load": job.wait_for_load != locks.LONGEST_WAIT,
        "before_sql": bool(job.scripts.before),
        "after_sql": bool(job.scripts.after),
        "verify": job.verify,
        "nul": job.nul != ERROR,
        "parallelism": copying.parallelism is not None,
        "lock_timeout": job.lock_timeout is not None,
        "publish='parts'": job.publish == PARTS,
        "keep_staging": job.keep_staging is not None,
        "as_of": move.history.as_of is not None,
        "mode='history'": move.keeps_history,
        "indexes": bool(job.defined.indexes),
        "partition_by": job.defined.partition_by is not None,
        "not_null": job.defined.not_null,
        "max_replica_lag": job.limits.replica_lag is not None,
        "max_wal_rate": job.limits.wal_rate is not None,
        "on_error='quarantine'": job.policy.quarantines,
    }
    refused = [name for name, is_asked in asked.items() if is_asked]
    if refused:
        raise UsageError(
            f"Through Spark Connect, load_dataframe has no {', '.join(refused)}: {FORMAT} writes there.",
            "Leave it out, or load from a session without Connect, such as by load_table.py.",
        )


def _is_recorded(df: DataFrame, job: LoadJob, connection: Mapping[str, str]) -> bool:
    """Return whether the ledger holds the load id for this table. For another one, the write is refused.

    Raises:
        JobError: The server cannot read the ledger.
    """
    query = (
        f"SELECT target_table, ({_SCHEMA.format(quote_literal(job.table.quoted))}) AS here "
        f"FROM {job.ledger.table.quoted} WHERE update_id = {quote_literal(job.load_id)}"
    )
    reader = df.sparkSession.read.format(FORMAT).options(**connection, query=query)
    try:
        markers = reader.load().collect()
    except Exception as error:
        if _UNDEFINED in str(error):  # the first load makes it
            return False
        raise
    try:
        recorded = [(TableName.parse(row[0] or ""), job.table.schema or row[1]) for row in markers]
    except UsageError:  # a marker of somebody else's, which names no table
        return False
    return any((found.name, found.schema) == (job.table.name, schema) for found, schema in recorded)


_SCHEMA = (
    "SELECT n.nspname::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
    "WHERE c.oid = pg_catalog.to_regclass({})"
)
"""A query for the schema in which the server finds a table."""

_UNDEFINED = "(SQLSTATE 42P01)"
"""In our message for a table that does not exist."""


def _as_json(values: Mapping[str, str]) -> str:
    return json.dumps(values) if values else ""
