"""Names the files of rows that were put aside: in staging, they have hashes of the names."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame

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
