"""Rows that were put aside: the names of their files, which are hashes in staging; and as a DataFrame."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.spark.origins import file_names


def with_files(session: Session, plan: PublishPlan, staged: TableName, df: DataFrame) -> PublishPlan:
    """Return the plan with the names of the files that staged rejects are of.

    Args:
        session: A session of the table's database.
        plan: The plan.
        staged: The table of rejects in staging.
        df: The rows of the load.
    """
    files = file_names(df, rejects.files_of(session, staged))
    return replace(plan, rejecting=replace(plan.rejecting, files=files))


SCHEMA = (
    "id bigint, load_id string, file string, file_row bigint, part int, part_row bigint, column_name string, "
    "sqlstate string, reason string, message string, row string, rejected_at timestamp"
)
"""The columns of rejects as a DataFrame. The row is JSON."""


def read_rejects(connector: Connector, target: TableName, load_id: str, spark: SparkSession) -> DataFrame:
    """Return the rows of a load that were put aside. The driver reads them: there are few.

    Args:
        connector: Opens a session of the table's database.
        target: The table of the load.
        load_id: The id of the load.
        spark: The session of the DataFrame.
    """
    with connector.open() as session:
        rows = rejects.find(session, target, load_id)
    return spark.createDataFrame([tuple(row) for row in rows], SCHEMA)
