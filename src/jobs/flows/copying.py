"""Copy a DataFrame into staging: encode, choose carrier and connections, run, and notice what Spark ran anew."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame

from jobs.dbaccess import staging
from jobs.dbaccess.capacity import capacity
from jobs.dbaccess.errors import NOT_UTF8, LoadError
from jobs.dbaccess.session import Session
from jobs.dbaccess.staging import Staging
from jobs.flows.progress import Progress
from jobs.flows.report import Stopwatch
from jobs.flows.target import Target
from jobs.spark import carry, copytext, nul
from jobs.spark.carry import Delivery
from jobs.spark.jobs_at_once import is_indeterminate, job_group, run_partitions, was_rerun

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copying:
    """How to copy.

    Attributes:
        parallelism: the most connections at once, or None to choose by what the server has free.
        arrow: carry by PyArrow (True), in pure Python (False), or by what the workers have (None).
        strip_nul: leave NUL characters out of text, instead of refusing them.
    """

    parallelism: int | None = None
    arrow: bool | None = None
    strip_nul: bool = False


class RowsMayDiffer(LoadError):
    """Spark computed parts anew, and the input may have given them other rows: staging cannot be trusted."""


def copy(session: Session, df: DataFrame, target: Target, *, delivery: Delivery, how: Copying, watch: Stopwatch) -> int:
    """Copy all rows into staging, and return the number of parts.

    Raises:
        RowsMayDiffer: the load must start over, in a new staging.
    """
    names, context = delivery.staging, df.sparkSession.sparkContext
    group = names.rows.name
    with job_group(context, group, f"pgjobs: {target.name}"):
        with watch.phase("prepare"):
            arrow = carry.choose_arrow(df.sparkSession) if how.arrow is None else how.arrow
            lines = copytext.encode(df, target.matches, how.strip_nul)
            copies = carry.plan_parts(lines, delivery, arrow)
            parts = copies.getNumPartitions()
            at_once = how.parallelism or choose_connections(session, parts)
            indeterminate = is_indeterminate(df, copies)
            if indeterminate and parts > at_once:
                # One job: Spark then notices itself when the input of some parts had to be computed anew.
                copies = carry.plan_parts(lines.coalesce(at_once), delivery, arrow)
                parts = copies.getNumPartitions()
        with watch.phase("copy"), Progress(session, names, parts), _indeterminacy_told():
            run_partitions(copies, parts, at_once, group)
    if indeterminate and was_rerun(context, group):
        raise RowsMayDiffer("Spark lost data of an input that is not determinate, and computed parts of it anew.")
    return parts


@contextmanager
def _indeterminacy_told() -> Iterator[None]:
    """Spark gives a job up itself when it notices in time that parts may differ."""
    try:
        yield
    except Exception as error:
        if "indeterminate output was failed and retried" in str(error):
            raise RowsMayDiffer("Spark lost data of an input that is not determinate.") from None
        raise


def choose_connections(session: Session, parts: int) -> int:
    """The number of connections that the server's free ones allow, told where it bounds the load."""
    server = capacity(session)
    chosen = server.share()
    if chosen < parts:
        logger.info(
            "Copying %d parts over %d connections at once: the server has %d of %d free. (--parallelism)",
            parts,
            chosen,
            server.free,
            server.allowed,
        )
    return chosen


def raise_failure(session: Session, names: Staging, df: DataFrame, target: Target) -> None:
    """Raise what a task noted as the reason why the load cannot succeed.

    Raises:
        LoadError: the server refused a row; the message names the column.
    """
    failure = staging.tally(session, names).failure
    if failure is None:
        return
    if NOT_UTF8 in failure:
        strings = [match.source for match in target.matches if nul.may_hold(match.spark_type)]
        culprits = nul.columns_with_nul(df, strings)
        if culprits:
            raise LoadError(
                f"PostgreSQL's text holds no NUL character, and there are some in {', '.join(culprits)}.",
                "Nothing was loaded. Clean the column, or give --nul strip to leave them out.",
            )
    raise LoadError(f"The server refused a row: {failure}", "Nothing was loaded.")
