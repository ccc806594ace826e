"""Copies the parts of a snapshot from one server into staging on another, several at a time, from socket to socket.

A part is copied as a task of Spark copies one: rows and claim are one transaction. An attempt that fails for a reason
that may pass is made again, in the same snapshot. Its receipt says which attempt counts, so that rows of an attempt
whose COMMIT was not answered are deleted when the rows are published.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import JobError, LoadError
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import COPY_SETTINGS, Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.flows.table_copy.line_hashes import LineHashes

ATTEMPTS = 4
"""How often a part is tried, as spark.task.maxFailures has it."""

SETTINGS = {**COPY_SETTINGS, "xmloption": "content"}
"""What the meaning of the other server's text depends on. Its dates and intervals have one meaning in any style."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crossing:
    """What is copied, from where, and into which staging.

    Attributes:
        source: Opens sessions of the server that has the snapshot.
        target: Opens sessions of the table's server.
        queries: The SELECTs of each part.
        hashes: Hashes the rows, if the copy is verified.
    """

    source: Connector
    snapshot: Snapshot
    target: Connector
    staging: Staging
    queries: tuple[tuple[str, ...], ...]
    hashes: LineHashes | None = None
    ended: threading.Event = field(default_factory=threading.Event, compare=False)

    def copy(self, at_once: int) -> tuple[Receipt, ...]:
        """Copy all parts, and return their receipts.

        Args:
            at_once: How many parts are copied at the same time, each over a connection to either server.

        Raises:
            JobError: A part could not be copied. No other part is being copied any more.
        """
        with ThreadPoolExecutor(at_once, "pgjobs copy") as pool:
            running = [pool.submit(self._part, part) for part in range(len(self.queries))]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
                self._raise_first([one.exception() for one in running if one.done()])
                return tuple(one.result() for one in running)
            finally:  # also for Ctrl-C; the pool waits for what runs
                self.ended.set()
                for one in running:
                    one.cancel()

    def _raise_first(self, failures: Sequence[BaseException | None]) -> None:
        reasons = [failure for failure in failures if failure is not None and not isinstance(failure, CopyEnded)]
        if reasons:
            raise reasons[0]

    def _part(self, part: int) -> Receipt:
        for attempt in range(ATTEMPTS):
            try:
                return self._attempt(part, attempt)
            except JobError as error:
                if not error.transient or attempt == ATTEMPTS - 1 or self.ended.is_set():
                    raise
                logger.warning("Part %d could not be copied: %s Trying again.", part, error.message)
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, part: int, attempt: int) -> Receipt:
        """Copy a part. The source is read to its end before the transaction commits."""
        with self.target.open(f"part {part}") as into, self.source.open(f"part {part}") as out:
            if not parts.begin_attempt(into, self.staging, part, attempt):
                raise CopyEnded
            blocks = _Blocks(self._blocks(out, part), self.hashes)
            parts.copy_part(into, self.staging, part, attempt, blocks, settings=SETTINGS)
            return Receipt(part, attempt, blocks.rows, blocks.hashes)

    def _blocks(self, out: Session, part: int) -> Iterator[bytes]:
        with snapshot.adopted(out, self.snapshot):
            for query in self.queries[part]:
                for block in out.copy_out(f"COPY ({query}) TO STDOUT"):
                    if self.ended.is_set():
                        raise CopyEnded
                    yield block


class CopyEnded(LoadError):
    """Another part has failed, or the job is being ended."""

    def __init__(self) -> None:
        super().__init__("Another part could not be copied.")


class _Blocks:
    """Blocks with the number of their rows: each ends in a newline, which text format has nowhere else."""

    def __init__(self, blocks: Iterator[bytes], hashes: LineHashes | None) -> None:
        self._blocks, self._hashes = blocks, hashes
        self.rows = self.hashes = 0

    def __iter__(self) -> Iterator[Counted]:
        for block in self._blocks:
            rows = block.count(b"\n")
            hashes = 0 if self._hashes is None else self._hashes.sum(block)
            self.rows += rows
            self.hashes += hashes
            yield Counted(block, rows, hashes)
