"""Extract a table or a query into Spark: take a snapshot, plan the parts, and read them in parallel in the snapshot."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from jobs.copyformat import decode_spark
from jobs.copyformat.read_types import ExtractColumn
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ExtractError, JobError, plural
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract import over_connect
from jobs.flows.extract.plan import ExtractPlan, Wanted, find_source, hold_source, plan_extract
from jobs.flows.spark_connect import is_remote
from jobs.spark.tasks.extract_tasks import Fetching, Tally, fetch, new_tally
from jobs.spark.tasks.workers import workers_have_arrow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extraction:
    """An extract whose snapshot is held.

    Attributes:
        df: The rows. Each action reads them again, in the same snapshot.
        tally: Rows and bytes of each part that was read.
    """

    df: DataFrame
    plan: ExtractPlan
    snapshot: Snapshot
    tally: Tally

    @property
    def rows(self) -> int:
        """The rows read so far. A part that was read twice counts once."""
        return sum(rows for rows, _ in self.tally.value.values())

    @property
    def bytes(self) -> int:
        """The bytes of COPY's text read so far. A part that was read twice counts once."""
        return sum(size for _, size in self.tally.value.values())


held = ExitStack()
"""The snapshots of `extract_dataframe` and `extract_tables`. They are held until the process ends."""


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
    """Return a table or a query as a DataFrame. All of its parts are read in one snapshot.

    A connection of this process holds the snapshot until the process ends. `extracting` holds it for a block only, so
    that the server's vacuum has to wait no longer than that. Through Spark Connect, `pgcopy` reads, and
    holds the snapshot.

    Args:
        spark: The session.
        table: `[schema.]table`. Either this or `query` is given.
        query: A SELECT.
        settings: Of the connection.
        columns: The columns to extract; all by default.
        filter: An SQL expression over the columns. It becomes part of statements: take it only from people you trust.
        split_by: Divide into parts by ranges of this column. Without it, a table is divided by blocks, and a query is
            one part.
        text_columns: Columns to extract as PostgreSQL's text, such as those that hold infinity.
        unbounded_numeric: What numeric without precision becomes: "text", "fit" or "decimal(p,s)".
        require_primary_key: Refuse a table without a primary key, and extract the key's columns in any case.
        parallelism: The number of parts, and so the maximum number of connections. The default depends on the size and
            on how many connections are free.

    Raises:
        UsageError: The arguments cannot be right.
        DatabaseError: The server refuses.
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
    if is_remote(spark):
        return over_connect.read(spark, wanted, settings)
    with ExitStack() as stack:
        connector = Connector(settings, "extract", str(wanted))
        session = stack.enter_context(connector.open())
        df = stack.enter_context(extracting(spark, session, connector, wanted)).df
        held.push(stack.pop_all())  # only now: an extract that fails before is not to be held
    return df


@contextmanager
def extracting(
    spark: SparkSession, session: Session, connector: Connector, wanted: Wanted, arrow: bool | None = None
) -> Iterator[Extraction]:
    """Hold a snapshot for the block, and give a DataFrame that reads it.

    Args:
        spark: The session.
        session: Holds the snapshot and the locks. It can do nothing else in the block.
        connector: Opens the tasks' sessions.
        wanted: What to extract.
        arrow: Decode by PyArrow (True), by Spark alone (False), or by PyArrow if the workers have it (None).

    Raises:
        ExtractError: Spark raised an error about a value or about the snapshot.
    """
    exported = hold_source(session, wanted)
    with reading_snapshot(spark, connector.at(session.server), wanted, exported, arrow=arrow) as extraction:
        yield extraction
    snapshot.release(session)


@contextmanager
def reading_snapshot(
    spark: SparkSession,
    connector: Connector,
    wanted: Wanted,
    exported: Snapshot,
    condition: str = "",
    *,
    arrow: bool | None = None,
) -> Iterator[Extraction]:
    """Give a DataFrame that reads a snapshot which another session holds.

    Args:
        spark: The session.
        connector: To the server that has the snapshot.
        wanted: What to extract.
        exported: The snapshot.
        condition: A further condition of our own.
        arrow: As for `extracting`.
    """
    with connector.open("plan") as planner, snapshot.adopted(planner, exported):
        plan = plan_extract(planner, wanted, find_source(planner, wanted), condition)
    with reading(spark, connector, plan, exported, arrow=arrow) as extraction:
        yield extraction


@contextmanager
def reading(
    spark: SparkSession, connector: Connector, plan: ExtractPlan, exported: Snapshot, *, arrow: bool | None = None
) -> Iterator[Extraction]:
    """Give a DataFrame that reads what was planned. Errors that Spark raises in the block become our own."""
    fetching = Fetching(connector, exported, plan.parts, plan.columns)
    tally = new_tally(spark.sparkContext)
    by_arrow = workers_have_arrow(spark) if arrow is None else arrow
    parts = plural(len(plan.parts), "part")
    logger.info("Reading %s in %s, in the snapshot %s.", connector.subject, parts, exported.id)
    try:
        yield Extraction(fetch(spark, fetching, by_arrow, tally), plan, exported, tally)
    except JobError:
        raise
    except Exception as error:
        own_error = error_of_spark(str(error), plan.columns)
        if own_error is None:
            raise
        raise own_error from None


# The last line of a Python worker's traceback, where one of our errors was raised there.
_FROM_WORKER = re.compile(r"^jobs\.(?:\w+\.)+\w+: (.+)", re.MULTILINE)


def error_of_spark(message: str, columns: Sequence[ExtractColumn]) -> ExtractError | None:
    """Return our own error in place of Spark's, if one of our tasks or expressions raised it; else None."""
    place = decode_spark.refused(message)
    if place is not None:
        return ExtractError(*decode_spark.refusal(columns[place].name))
    raised_by_worker = _FROM_WORKER.search(message)
    return ExtractError(raised_by_worker[1]) if raised_by_worker else None
