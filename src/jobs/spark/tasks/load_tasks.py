"""What executors run to load: copy the blocks of a part to the server, and return a receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark import RDD, TaskContext

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import ConnectionFailed, JobError
from jobs.dbaccess.load.copying import direct, parts
from jobs.dbaccess.load.copying.direct import Direct, Superseded
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.rejects.policy import FAILS, Policy
from jobs.dbaccess.load.rejects.quarantine import Outcome
from jobs.dbaccess.load.rejects.quarantine import copy_part as copy_good
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.spark.origins import Line

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Delivery:
    """What a task needs to copy a part into staging.

    Attributes:
        direct: Where to copy it instead, if it is to go straight into the target.
        policy: What to do about rows that the server refuses.
    """

    connector: Connector
    staging: Staging
    direct: Direct | None = None
    policy: Policy = FAILS


def deliveries(blocks: RDD[Counted], delivery: Delivery) -> RDD[Receipt]:
    """Return an RDD whose partitions, when they are computed, copy the parts to their destination."""
    return blocks.mapPartitions(lambda part: _deliver_blocks(delivery, part))


def deliver(delivery: Delivery, part: int, attempt: int, blocks: Iterable[Counted]) -> Outcome | None:
    """Copy one part into staging, whatever other attempts at it do or have done.

    A failure that would recur in another attempt is recorded for the driver, and not raised: Spark would only retry.

    Returns:
        What became of its rows, if bad ones are put aside.

    Raises:
        JobError: The failure is transient. Spark runs the task again.
    """
    if delivery.direct is not None:
        _deliver_directly(delivery, delivery.direct, part, attempt, blocks)
        return None
    with _connect(delivery, part) as session:
        if not parts.begin_attempt(session, delivery.staging, part, attempt):
            return None
        try:
            if delivery.policy.quarantines:
                return copy_good(session, delivery.staging, part, attempt, blocks, policy=delivery.policy)
            parts.copy_part(session, delivery.staging, part, attempt, blocks)
        except JobError as error:
            if error.transient:
                raise
            _record_failure(session, delivery, part, attempt, error)
    return None


def _deliver_directly(delivery: Delivery, into: Direct, part: int, attempt: int, blocks: Iterable[Counted]) -> None:
    """Copy one part straight into the target, unless another attempt at it has.

    Raises:
        JobError: As `deliver`.
    """
    with _connect(delivery, part) as session:
        if not direct.begin_attempt(session, into, part, attempt):
            return
        try:
            direct.copy_part(session, into, part, attempt, blocks)
        except Superseded:
            return
        except ConnectionFailed:
            with _connect(delivery, part) as replacement:
                if not direct.was_committed(replacement, into, part, session):
                    raise
        except JobError as error:
            if not session.closed and direct.is_there(session, into, part):
                return  # the error is that of a row that is in the table already
            if error.transient:
                raise
            _record_failure(session, delivery, part, attempt, error)


def _record_failure(session: Session, delivery: Delivery, part: int, attempt: int, error: JobError) -> None:
    """Record a failure, over another connection if this one was closed in the middle of its COPY."""
    names, reason, row = delivery.staging, parts.reason(error), parts.row_of(error)
    if not session.closed:
        parts.record_failure(session, names, part, attempt, reason, row=row)
        return
    with _connect(delivery, part) as replacement:
        parts.record_failure(replacement, names, part, attempt, reason, row=row)


def _connect(delivery: Delivery, part: int) -> Session:
    return delivery.connector.open(f"part {part}")


def deliver_task(delivery: Delivery, blocks: Iterable[Counted]) -> Receipt:
    """Deliver the part of this task.

    Returns:
        A receipt. As the task's result, it shows the driver that Spark accepted this very attempt.
    """
    task = TaskContext.get()
    if task is None:
        raise RuntimeError("this runs inside a Spark task only")
    part, attempt, passed = task.partitionId(), task.taskAttemptId(), _Passed()
    outcome = deliver(delivery, part, attempt, passed.counting(blocks))
    if outcome is not None:
        return Receipt(part, attempt, outcome.rows, outcome.hashes, outcome.rejected)
    return Receipt(part, attempt, passed.rows, passed.hashes)


class _Passed:
    """The rows that have passed: how many, and the sum of their hashes."""

    rows, hashes = 0, 0

    def counting(self, blocks: Iterable[Counted]) -> Iterator[Counted]:
        """Yield the blocks, and count their rows."""
        for counted in blocks:
            self.rows += counted.rows
            self.hashes += counted.hashes
            yield counted


def _deliver_blocks(delivery: Delivery, blocks: Iterable[Counted]) -> Iterator[Receipt]:
    yield deliver_task(delivery, blocks)


def line_of(row: int) -> Callable[[Iterable[Counted]], list[Line]]:
    """Return a function that finds a row of a part, from 1, in its blocks. Without origins there, it has none."""

    def find(blocks: Iterable[Counted]) -> list[Line]:
        before = 0
        for counted in blocks:
            if before + counted.rows >= row:
                place = row - before - 1
                return [_lines(counted)[place]]
            before += counted.rows
        return []

    return find


def line_like(text: bytes) -> Callable[[Iterable[Counted]], list[Line]]:
    """Return a function that finds the first row of a part with this text in its blocks."""

    def find(blocks: Iterable[Counted]) -> list[Line]:
        return next(
            ([line] for block in blocks if text in bytes(block.block) for line in _lines(block) if line.text == text),
            [],
        )

    return find


def _lines(counted: Counted) -> list[Line]:
    texts = bytes(counted.block).split(b"\n")[: counted.rows]
    return [Line(text + b"\n", origin) for text, origin in zip(texts, counted.origins or [b""] * counted.rows)]
