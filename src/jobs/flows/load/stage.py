"""Copy a DataFrame into staging: encode, choose connections, run, and notice what Spark computed again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pyspark import RDD
from pyspark.sql import Column, DataFrame

from jobs.copyformat import encode_spark
from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.errors import LoadError, plural
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.session import Session
from jobs.flows.load.progress import Progress
from jobs.flows.load.targets.target import Target
from jobs.flows.report import Stopwatch
from jobs.spark import origins
from jobs.spark.plans.function_names import check_names
from jobs.spark.plans.part_sizes import parts_of
from jobs.spark.plans.recomputed import was_recomputed
from jobs.spark.row_hash import row_hash
from jobs.spark.tasks import copy_blocks, load_tasks
from jobs.spark.tasks.load_tasks import Delivery
from jobs.spark.tasks.scheduling import Gate, job_group, run_partitions

MALFORMED = "pgjobs_malformed"
"""The column in which Spark leaves the text of a malformed record. It is not loaded."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copying:
    """How to copy.

    Attributes:
        parallelism: The most connections at once, or None to choose by the server's free connections.
    """

    parallelism: int | None = None


class RowsMayDiffer(LoadError):
    """Spark computed a shuffle again, and parts may have read different outcomes of it: staging cannot be trusted."""

    def __init__(self) -> None:
        super().__init__(
            "Spark lost data of a shuffle and computed it again: parts that were copied before and after "
            "need not fit together.",
            "If executors are often lost, write the input to files first, and load those.",
        )


@dataclass(frozen=True)
class Encoded:
    """The rows as COPY lines, planned: nothing of them has been computed.

    Attributes:
        lines: The query.
        blocks: The same as an RDD, one partition for each part.
        merges: Whether tiny partitions may have been merged.
    """

    lines: DataFrame
    blocks: RDD[Counted]
    parts: int
    merges: bool = True


def encode(
    df: DataFrame, target: Target, how: Copying, group: str, *, merges: bool = True, with_origins: bool = False
) -> Encoded:
    """Encode the rows. Spark may run shuffles below them to find out how many parts there are.

    Args:
        df: The rows.
        target: What they are encoded for.
        how: How to copy.
        group: The job group of these shuffles.
        merges: Whether tiny partitions may be merged. Which ones are, may differ in another run.
        with_origins: Whether each row is to tell where it comes from.

    Raises:
        UsageError: A function of the user's own hides one of Spark's.
    """
    check_names(df.sparkSession)
    rows = origins.with_place(df) if with_origins else df
    origin = origins.origin_of if with_origins else None
    with job_group(df.sparkSession.sparkContext, group, f"pgjobs: {target.name}"):
        lines = encode_spark.encode(rows, target.matches, _hashing(target), origin, unparsed=_unparsed(df, target))
        octets = copy_blocks.as_octets(lines)
        merge = partial(parts_of, df, parallelism=how.parallelism) if merges else _as_they_are
        blocks = copy_blocks.plan_parts(octets, merge, hashed=target.row is not None, origins=with_origins)
        return Encoded(octets, blocks, blocks.getNumPartitions(), merges)


def _as_they_are(partitions: int) -> int:
    return partitions


def copy(
    session: Session,
    encoded: Encoded,
    target: Target,
    *,
    delivery: Delivery,
    how: Copying,
    watch: Stopwatch,
    gate: Gate | None = None,
    only: Sequence[int] | None = None,
) -> tuple[Receipt, ...]:
    """Copy all rows, and return the receipts of the attempts that Spark accepted, one for each part.

    Args:
        session: The driver's session.
        encoded: The rows.
        target: Where they go.
        delivery: What the tasks need.
        how: How to copy.
        watch: Takes the time.
        gate: Decides when parts may start; None for no limit.
        only: The parts to copy; None for all.

    Raises:
        RowsMayDiffer: The load must start over in a new staging.
    """
    names, chosen = delivery.staging, range(encoded.parts) if only is None else only
    parts = len(chosen)
    shown = encoded.parts if delivery.direct is None else parts  # staging also has what an earlier run has staged
    group = names.rows.name
    copies = load_tasks.deliveries(encoded.blocks, delivery)
    with job_group(copies.context, group, f"pgjobs: {target.name}"):
        with watch.phase("prepare"):
            at_once = how.parallelism or choose_connections(session, parts)
        with watch.phase("copy"), Progress(session, names, shown), _indeterminacy_translated():
            receipts = tuple(run_partitions(copies, chosen, at_once, group, gate))
    if was_recomputed(copies, [receipt.attempt for receipt in receipts]):
        raise RowsMayDiffer
    return receipts


def _unparsed(df: DataFrame, target: Target) -> str | None:
    """Return the column with the text of records that Spark could not read, if there is one that is not loaded."""
    is_loaded = MALFORMED in (match.source for match in target.matches)
    return MALFORMED if MALFORMED in df.columns and not is_loaded else None


def _hashing(target: Target) -> Callable[[Sequence[Column]], Column] | None:
    """Return a function from a row's values to its hash, or None if the load is not verified."""
    if target.row is None:
        return None
    matches, forms = target.loaded, target.row.forms

    def hashed(values: Sequence[Column]) -> Column:
        return row_hash(values[: len(matches)], matches, forms)

    return hashed


@contextmanager
def _indeterminacy_translated() -> Iterator[None]:
    """Raise RowsMayDiffer if Spark itself aborts a job because it knows that the input is indeterminate."""
    try:
        yield
    except Exception as error:
        if "indeterminate output was failed and retried" in str(error):
            raise RowsMayDiffer from None
        raise


def choose_connections(session: Session, parts: int) -> int:
    """Return how many connections the server's free ones allow. If that limits the load, it is logged."""
    server = capacity(session)
    chosen = server.share()
    if chosen < parts:
        logger.info(
            "Copying %s over %s at once: the server has %d of %d free. (--parallelism)",
            plural(parts, "part"),
            plural(chosen, "connection"),
            server.free,
            server.allowed,
        )
    return chosen
