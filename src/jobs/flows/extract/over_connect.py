"""An extract through Spark Connect: `pgcopy` reads the rows, and holds their snapshot."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.flows.extract.plan import Wanted
from jobs.flows.spark_connect import FORMAT, check_version, connection_options, remote_errors_translated


def read(spark: SparkSession, wanted: Wanted, settings: Settings) -> DataFrame:
    """Return a table or a query as a DataFrame of Spark Connect.

    Raises:
        UsageError: The server's Spark or the connection does not go with Connect, or an argument is wrong.
        JobError: The server cannot read it.
    """
    check_version(spark.version)
    df = spark.read.format(FORMAT).options(**connection_options(settings), **options_of(wanted)).load()
    with remote_errors_translated():
        df.schema  # noqa: B018 - has the server look at the table now, as it is without Connect
    return df


def options_of(wanted: Wanted) -> dict[str, str]:
    """Return the options of `pgcopy` for an extract."""
    options = {
        "table": "" if wanted.table is None else str(wanted.table),
        "query": wanted.query or "",
        "columns": ",".join(wanted.columns),
        "filter": wanted.filter,
        "splitBy": wanted.split_by,
        "textColumns": ",".join(wanted.text_columns),
        "unboundedNumeric": wanted.unbounded,
        "requirePrimaryKey": "true" if wanted.require_primary_key else "",
        "parallelism": "" if wanted.parallelism is None else str(wanted.parallelism),
    }
    return {name: text for name, text in options.items() if text}
