"""Data of which only the columns are known: what a plan needs without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql.types import StructType

from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.session import Session
from jobs.flows.load.dry_run.fit import Fit
from jobs.flows.load.job import LoadJob


@dataclass(frozen=True)
class Columns:
    """Columns, the number of parts, why they are staged, and the values of the partition key."""

    schema: StructType
    count: int = 1
    staged: str = "the test says so"
    values: Sequence[Sequence[str | None]] = ()

    def parts(self, session: Session, job: LoadJob, fitted: Fit, plan: PublishPlan) -> tuple[int, str]:  # noqa: ARG002 - of Data
        return self.count, self.staged

    def keys(self, fitted: Fit, names: Sequence[str]) -> Sequence[Sequence[str | None]]:  # noqa: ARG002 - of Data
        return self.values
