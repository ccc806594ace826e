"""A reader that has PostgreSQL apply filters; of Spark 4.1 and newer."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql.datasource import Filter

from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.selection import Selection, conjunction
from jobs.dbaccess.session import Session
from jobs.flows.source import find_source, settle_readings
from jobs.pgcopy.filters import Condition, translated
from jobs.pgcopy.reader import BatchReader, Reach


class FilteringReader(BatchReader):
    """Reads those rows that Spark wants.

    Spark refuses a reader that has `pushFilters` where spark.sql.python.filterPushdown.enabled is not set, and does
    not tell the driver's Python whether it is. So this is a class of its own, for an option to choose.

    Args:
        reach: what is read.
        idle: as of `BatchReader`.
    """

    def __init__(self, reach: Reach, idle: float) -> None:
        super().__init__(reach, idle)
        self._conditions: list[Condition] = []

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802 - Spark's name
        """Take those filters that mean the same in PostgreSQL; the others are Spark's."""
        with connect(self.reach.settings, self.reach.label) as session:
            wanted = self.reach.wanted
            _, readings = settle_readings(session, wanted, find_source(session, wanted))
        for found in filters:
            condition = translated(found, readings)
            if condition is None:
                yield found
            else:
                self._conditions.append(condition)

    def condition(self, session: Session, selection: Selection) -> str:  # noqa: ARG002 - as in BatchReader
        """All filters that were taken."""
        return conjunction(*(f"({condition.sql(session)})" for condition in self._conditions))
