"""The data of a load that is only planned: its columns, and what of its rows a plan needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from jobs.copyformat import encode_spark
from jobs.dbaccess.copy_text import parse_line
from jobs.dbaccess.load.dry_run.foretell import MOST_KEYS, Keys
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.session import Session
from jobs.flows.load.direct.one_part import why_staged
from jobs.flows.load.dry_run.fit import Fit
from jobs.flows.load.files import malformed_translated
from jobs.flows.load.job import LoadJob
from jobs.flows.load.sources import Source, check, read
from jobs.flows.load.stage import encode
from jobs.flows.report import SourceTable
from jobs.spark.null_values import with_nulls


class Data(Protocol):
    """The data of a load."""

    @property
    def schema(self) -> StructType:
        """Its columns."""

    def parts(self, session: Session, job: LoadJob, fitted: Fit, plan: PublishPlan) -> tuple[int, str]:
        """Return the number of parts, and why they are staged; empty if the only one goes straight into the table."""

    def keys(self, fitted: Fit, names: Sequence[str]) -> Keys:
        """Return the different values of some columns of the table, as COPY writes them: MOST_KEYS and one at most."""


@dataclass(frozen=True)
class Rows:
    """The rows of a DataFrame, which the load would encode.

    Attributes:
        table: The table of Spark's catalogs that they are of, if it is one.
    """

    df: DataFrame
    table: SourceTable | None = None

    @property
    def schema(self) -> StructType:
        """Their columns."""
        return self.df.schema

    def parts(self, session: Session, job: LoadJob, fitted: Fit, plan: PublishPlan) -> tuple[int, str]:
        """Have Spark plan them, as the load does. Where it shuffles, this runs it as far as its last shuffle."""
        encoded = encode(self.df, fitted.target, job.copying, plan.staging.rows.name, merges=not job.can_be_resumed)
        return encoded.parts, why_staged(session, plan, fitted.table, encoded)

    def keys(self, fitted: Fit, names: Sequence[str]) -> Keys:
        """Read these columns of all rows."""
        by_name = {match.target.name: match for match in fitted.target.loaded}
        matches = [by_name[name] for name in names]
        lines = encode_spark.encode(self.df, matches).distinct().limit(MOST_KEYS + 1).collect()
        return [parse_line(row[0].encode()) for row in lines]


def data_of(job: LoadJob, source: Source, start_spark: Callable[[], SparkSession]) -> Rows:
    """Return the data of a load, which is read as the load reads it.

    Raises:
        JobError: It cannot be read like that.
    """
    check(source)
    with malformed_translated():
        rows = read(start_spark(), source)
        return Rows(with_nulls(rows.df, job.null_values), rows.table)
