"""Run SQL by one call: the arguments of a program become what is to be run."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load.ledger import MARKER_TABLE, Ledger
from jobs.dbaccess.sql import TableName
from jobs.flows.file_options import Output
from jobs.flows.query.job import QueryJob, run
from jobs.flows.query.report import QueryReport


def run_query(
    sql: str,
    *,
    settings: Settings,
    load_id: str,
    values: Mapping[str, object] | None = None,
    table: str | None = None,
    autocommit: bool = False,
    marker_table: str = MARKER_TABLE,
    target: str | None = None,
    file_format: str = "parquet",
    write_mode: str = "error",
    writer_options: Mapping[str, str] | None = None,
) -> QueryReport:
    """Run SQL, unless a run with this load id has finished.

    Args:
        sql: One or more statements, in which `:name` stands for a value.
        settings: Where the database is.
        load_id: Names this run for ever: a second run with this id does nothing.
        values: By name. The server binds them; they are never inserted into the text.
        table: `[schema.]table` that the marker names.
        autocommit: Each statement is a transaction of its own, and so is the marker after them.
        marker_table: `[schema.]table` that records the run; created if it is missing.
        target: A folder or s3:// prefix for the rows of the last query. Spark writes them: the process's session, or
            else a new one. If a run ends after its COMMIT and before they are written, the next one writes them.
        file_format: Of these files: "parquet", "csv", "json" or "orc".
        write_mode: "error" (the target must not exist) or "overwrite".
        writer_options: Options of Spark's writer.

    Raises:
        UsageError: The SQL cannot be right, the load id is taken by another table, or the target exists.
        DatabaseError: The server refused a statement.
        QueryInterrupted: The connection broke.
    """
    job = QueryJob(
        settings=settings,
        sql=sql,
        load_id=load_id,
        values=values or {},
        table=TableName.parse(table) if table else None,
        autocommit=autocommit,
        ledger=Ledger.parse(marker_table),
        output=None if target is None else Output.of(target, file_format, write_mode, writer_options or {}),
    )
    return run(job)
