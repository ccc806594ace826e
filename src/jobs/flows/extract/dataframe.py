"""Extract a table or a query into Spark: take a snapshot, settle the parts, read them side by side in that moment."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from jobs.copyformat import decode_spark
from jobs.copyformat.read_types import Reading
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ExtractError, JobError
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.postgres_connectivity import Connector
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.plan import Source, Wanted, find_source, hold_source, settle_source
from jobs.flows.report import plural
from jobs.spark.extract_tasks import Fetching, Tally, fetch, new_tally
from jobs.spark.workers import workers_have_arrow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extraction:
    """What is being read, while its snapshot is held.

    Attributes:
        df: the rows; each action reads them anew, in the same moment.
        tally: rows and bytes of each part that was read.
    """

    df: DataFrame
    source: Source
    moment: Snapshot
    tally: Tally

    @property
    def rows(self) -> int:
        """Rows that were read so far, each part's once."""
        return sum(rows for rows, _ in self.tally.value.values())

    @property
    def bytes(self) -> int:
        """Bytes of COPY's text that were read so far, each part's once."""
        return sum(size for _, size in self.tally.value.values())


_held = ExitStack()
"""The snapshots of `extract_dataframe`, until the process ends."""


def extract_dataframe(
    spark: SparkSession,
    *,
    table: str | None = None,
    query: str | None = None,
    settings: Settings,
    columns: Sequence[str] = (),
    filter: str = "",  # noqa: A002 - SQL's own word, and the flag's
    split_by: str = "",
    text_columns: Sequence[str] = (),
    unbounded_numeric: str = "text",
    require_primary_key: bool = False,
    parallelism: int | None = None,
) -> DataFrame:
    """A table or a query as a DataFrame, every part of it as of one moment.

    That moment is held by a connection of this process until the process ends; `extracting` holds it for a block only,
    which keeps the server's vacuum waiting no longer than needed.

    Args:
        spark: the session.
        table: `[schema.]table`; or
        query: a SELECT.
        settings: where the database is.
        columns: those that are wanted; all by default.
        filter: an SQL expression over the columns. It goes into statements as it is: take it from no stranger.
        split_by: cut into parts by ranges of this column; else a table is cut by blocks, and a query not at all.
        text_columns: columns to read as PostgreSQL writes them, such as those that hold infinity.
        unbounded_numeric: what numeric without precision becomes: "text", "fit" or "decimal(p,s)".
        require_primary_key: refuse a table without one, and have its columns come along.
        parallelism: the number of parts, and so the most connections at once; by default by size and what is free.

    Raises:
        UsageError: the arguments cannot be right.
        DatabaseError: the server refuses.
    """
    wanted = Wanted(
        table=TableName.parse(table) if table else None,
        query=query,
        columns=tuple(columns),
        filter=filter,
        split_by=split_by,
        text_columns=tuple(text_columns),
        unbounded=unbounded_numeric,
        require_primary_key=require_primary_key,
        parallelism=parallelism,
    )
    with ExitStack() as stack:
        connector = Connector(settings, "extract", str(wanted))
        session = stack.enter_context(connector.open())
        df = stack.enter_context(extracting(spark, session, connector, wanted)).df
        _held.push(stack.pop_all())  # now, for what fails before is not to be held
    return df


@contextmanager
def extracting(
    spark: SparkSession, session: Session, connector: Connector, wanted: Wanted, arrow: bool | None = None
) -> Iterator[Extraction]:
    """Hold a snapshot for the block, and give a DataFrame that reads it.

    Args:
        spark: the session.
        session: holds the snapshot and the locks; for the block it can do nothing else.
        connector: opens the tasks' sessions.
        wanted: what is to be read.
        arrow: decode by PyArrow (True), by Spark alone (False), or by what the workers have (None).

    Raises:
        ExtractError: what Spark raised is about a value, or about the snapshot.
    """
    moment = hold_source(session, wanted)
    with reading_snapshot(spark, connector.at(session.server), wanted, moment, arrow=arrow) as extraction:
        yield extraction
    snapshot.release(session)


@contextmanager
def reading_snapshot(
    spark: SparkSession,
    connector: Connector,
    wanted: Wanted,
    moment: Snapshot,
    condition: str = "",
    *,
    arrow: bool | None = None,
) -> Iterator[Extraction]:
    """Give a DataFrame that reads a snapshot which somebody holds.

    Args:
        spark: the session.
        connector: to the server that has the snapshot.
        wanted: what is to be read.
        moment: the snapshot.
        condition: one more, of our own making.
        arrow: as for `extracting`.
    """
    with connector.open("plan") as planner, snapshot.adopted(planner, moment):
        source = settle_source(planner, wanted, find_source(planner, wanted), condition)
    with reading(spark, connector, source, moment, arrow=arrow) as extraction:
        yield extraction


@contextmanager
def reading(
    spark: SparkSession, connector: Connector, source: Source, moment: Snapshot, *, arrow: bool | None = None
) -> Iterator[Extraction]:
    """Give a DataFrame that reads a settled source; what Spark raises in the block is told in our own words."""
    fetching = Fetching(connector, moment, source.parts, source.readings)
    tally = new_tally(spark.sparkContext)
    by_arrow = workers_have_arrow(spark) if arrow is None else arrow
    parts = plural(len(source.parts), "part")
    logger.info("Reading %s in %s, in the snapshot %s.", connector.subject, parts, moment.id)
    try:
        yield Extraction(fetch(spark, fetching, by_arrow, tally), source, moment, tally)
    except JobError:
        raise
    except Exception as error:
        told = told_by_spark(str(error), source.readings)
        if told is None:
            raise
        raise told from None


# How the traceback of a Python worker ends that raised one of our errors.
_FROM_WORKER = re.compile(r"^jobs\.(?:\w+\.)+\w+: (.+)", re.MULTILINE)


def told_by_spark(message: str, readings: Sequence[Reading]) -> ExtractError | None:
    """What an error of Spark's says in our own words, where a task of ours or an expression of ours raised it."""
    place = decode_spark.refused(message)
    if place is not None:
        return ExtractError(*decode_spark.refusal(readings[place].name))
    found = _FROM_WORKER.search(message)
    return ExtractError(found.group(1)) if found else None
