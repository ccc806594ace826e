"""Overwrite a table by each strategy while others read it: seconds, WAL, size, locks, and what the readers see.

    python -m bench.overwrite --rows 1000000

The table has a primary key and another index. For the mode replace-partitions, it has four partitions, all of which are
replaced. Each load brings all of its rows, of which 1 % or all have changed. Three sessions ask the server meanwhile:
for the number of old and new rows, for one row by its key, and for the locks on the table. A reader has to see the old
rows or the new ones, and nothing in between.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import BenchError
from bench.machine import database
from bench.machine.address import Server
from bench.machine.spark import start_spark
from bench.machine.watch import others
from bench.results.figures import MEGABYTE
from bench.tpch.names import CONNECTIONS
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.load.move.modes import DELETE, DIFF, STRATEGIES
from jobs.flows.load.dataframe import load_dataframe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyspark.sql import DataFrame, SparkSession

    from jobs.dbaccess.conninfo.settings import Settings
    from jobs.dbaccess.session import Session

TABLE, KEPT = "orders", "orders_before"
INDEX = "customer"
PARTITIONS = 4
REPLACING = "replace-partitions"
"""The mode, beside the strategies of overwrite."""

CHANGES = {"1 %": 100, "all": 1}
"""By the share of the rows that changed: every which row did."""

WRITERS_WAIT, READERS_WAIT = "ShareRowExclusiveLock", "AccessExclusiveLock"
COUNTS = f"SELECT count(*), count(*) FILTER (WHERE starts_with(note, 'new')) FROM {TABLE}"
BY_KEY = f"SELECT note FROM {TABLE} WHERE id = 1"
LOCKS = f"SELECT mode FROM pg_locks WHERE relation = '{TABLE}'::regclass AND granted"
ASKED = {COUNTS: 0.25, BY_KEY: 0.01, LOCKS: 0.01}
"""What is asked meanwhile, and the seconds between an answer and the next question. Counting reads the whole table."""

SETTLED = 1.0  # seconds in which the other sessions connect and ask for the first time
HEADINGS = (
    "| strategy | changed | seconds | WAL, MB | size before, MB | after, MB | writers wait, s | readers wait, s "
    "| longest read by key, s | rows seen, at least |\n|---|---|---|---|---|---|---|---|---|---|"
)


class Answer(NamedTuple):
    """What a session got, and between which times, in seconds on the monotonic clock."""

    begun: float
    ended: float
    rows: list[list[Any]]


class Measured(NamedTuple):
    """A line of the result.

    Attributes:
        sizes: Of the table with its indexes before and after the load, in bytes.
        writers_wait: For how many seconds other writers were locked out.
        readers_wait: Likewise, readers.
        longest_read: The seconds of the slowest read by key.
        least_rows: The fewest rows that a reader saw.
    """

    strategy: str
    changed: str
    seconds: float
    wal: float
    sizes: tuple[int, int]
    writers_wait: float
    readers_wait: float
    longest_read: float
    least_rows: int

    def __str__(self) -> str:
        """Return the line in Markdown."""
        sizes = [f"{size / MEGABYTE:,.0f}" for size in (self.wal, *self.sizes)]
        waits = [f"{seconds:.2f}" for seconds in (self.writers_wait, self.readers_wait, self.longest_read)]
        cells = [self.strategy, self.changed, f"{self.seconds:.1f}", *sizes, *waits, f"{self.least_rows:,}"]
        return f"| {' | '.join(cells)} |"


def held(looks: Sequence[Answer], mode: str) -> float:
    """Return the longest time for which each look at the locks showed one of this mode, in seconds."""
    longest, since = 0.0, None
    for look in looks:
        if [mode] in look.rows:
            since = look.begun if since is None else since
            longest = max(longest, look.ended - since)
        else:
            since = None
    return longest


def longest(reads: Sequence[Answer]) -> float:
    """Return the seconds of the slowest read."""
    return max(read.ended - read.begun for read in reads)


def least(counts: Sequence[Answer], rows: int, changed: int) -> int:
    """Return the fewest rows that a reader saw.

    Raises:
        BenchError: A reader saw something other than all old rows or all new ones.
    """
    seen = {(total, new) for answer in counts for total, new in answer.rows}
    strange = seen - {(rows, 0), (rows, changed)}
    if strange:
        raise BenchError(f"a reader saw {sorted(strange)}, as (rows, new rows) of {rows} and {changed}")
    totals: list[int] = [total for total, _ in seen]
    return min(totals)


@dataclass(frozen=True)
class Trial:
    """A table to overwrite."""

    spark: SparkSession
    settings: Settings
    address: Server
    rows: int

    def data(self, every: int) -> DataFrame:
        """Return the rows. Every so many, one is new."""
        return self.spark.range(1, self.rows + 1, 1, CONNECTIONS).selectExpr(
            "id",
            "CAST(pmod(xxhash64(id), 100000) AS int) AS customer",
            "CAST(id % 100000 AS decimal(12,2)) AS amount",
            "timestamp_seconds(1763596800 + id) AS at",
            f"concat(IF(id % {every} = 0, 'new ', 'old '), md5(CAST(id AS string))) AS note",
        )

    def keep(self) -> None:
        """Load the rows as they are before each overwrite."""
        old = self.data(self.rows + 1)
        load_dataframe(old, table=KEPT, settings=self.settings, mode="upsert", keys=["id"], indexes=[INDEX])

    def run(self, strategy: str, changed: str) -> Measured:
        """Overwrite the table, and return what it took and what others saw.

        Raises:
            BenchError: A reader saw what nobody should see, or the table is not equal to the data afterwards.
        """
        every = CHANGES[changed]
        before = self._fill(PARTITIONS if strategy == REPLACING else 0)
        wal = database.wal(self.address)
        stop = threading.Event()
        with ThreadPoolExecutor(len(ASKED)) as threads:
            asking = {query: threads.submit(ask, self.address, query, stop) for query in ASKED}
            try:
                time.sleep(SETTLED)
                seconds = self._overwrite(strategy, every)
            finally:
                stop.set()
        written = database.wal(self.address) - wal
        answers = {query: asked.result() for query, asked in asking.items()}
        after = self._check(every)
        return Measured(
            strategy,
            changed,
            seconds=seconds,
            wal=written,
            sizes=(before, after),
            writers_wait=held(answers[LOCKS], WRITERS_WAIT),
            readers_wait=held(answers[LOCKS], READERS_WAIT),
            longest_read=longest(answers[BY_KEY]),
            least_rows=least(answers[COUNTS], self.rows, self.rows // every),
        )

    def _fill(self, partitions: int) -> int:
        """Make the table as it is before an overwrite, without autovacuum, and return its size."""
        by = "PARTITION BY RANGE (id)" if partitions else "WITH (autovacuum_enabled = false)"
        size_of_one = -(-self.rows // max(partitions, 1))
        with database.session(self.address) as session:
            session.run(f"DROP TABLE IF EXISTS {TABLE}")
            session.run(f"CREATE TABLE {TABLE} (LIKE {KEPT} INCLUDING ALL) {by}")
            for place in range(partitions):
                bounds = f"FROM ({place * size_of_one + 1}) TO ({(place + 1) * size_of_one + 1})"
                partition = f"CREATE TABLE {TABLE}_{place} PARTITION OF {TABLE} FOR VALUES {bounds}"
                session.run(f"{partition} WITH (autovacuum_enabled = false)")
            session.run(f"INSERT INTO {TABLE} SELECT * FROM {KEPT} ORDER BY id")
            session.run(f"VACUUM ANALYZE {TABLE}")
            session.run("CHECKPOINT")
            return size(session)

    def _overwrite(self, strategy: str, every: int) -> float:
        begun = time.monotonic()
        load_dataframe(
            self.data(every),
            table=TABLE,
            settings=self.settings,
            mode=REPLACING if strategy == REPLACING else "overwrite",
            overwrite_strategy=DELETE if strategy == REPLACING else strategy,
            keys=["id"] if strategy == DIFF else [],
        )
        return time.monotonic() - begun

    def _check(self, every: int) -> int:
        """Return the size of the table, which has to be equal to the data."""
        with database.session(self.address) as session:
            [found] = session.run(COUNTS)
            if found != [self.rows, self.rows // every]:
                raise BenchError(f"{TABLE} holds {found}, as rows and new rows, after the load")
            return size(session)


def size(session: Session) -> int:
    """Return the size of the table with its indexes, in bytes."""
    tables = f"SELECT '{TABLE}'::regclass AS oid UNION SELECT relid FROM pg_partition_tree('{TABLE}'::regclass)"
    bytes_of_files: int = session.value(f"SELECT sum(pg_total_relation_size(oid))::bigint FROM ({tables}) AS tables")
    return bytes_of_files


def ask(address: Server, query: str, stop: threading.Event) -> list[Answer]:
    """Ask the server again and again, and return the answers."""
    answers = []
    with database.session(address) as session:
        while not stop.is_set():
            begun = time.monotonic()
            rows = session.run(query)
            answers.append(Answer(begun, time.monotonic(), rows))
            stop.wait(ASKED[query])
    return answers


def measure(trial: Trial, strategies: Sequence[str]) -> Iterator[Measured]:
    """Overwrite by each strategy, once for each share of changed rows."""
    for changed in CHANGES:
        for strategy in strategies:
            yield trial.run(strategy, changed)


def main() -> int:
    """Make the rows, and print a line for each strategy."""
    parser = argparse.ArgumentParser(prog="bench.overwrite", description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--strategies", nargs="+", choices=(*STRATEGIES, REPLACING), default=(*STRATEGIES, REPLACING))
    options = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server's folder is removed
    with database.server() as manager:
        address = Server(manager.host, manager.port, manager.user, "postgres")
        trial = Trial(start_spark(CONNECTIONS), resolve(Given(url=manager.url()), {}).settings, address, options.rows)
        trial.keep()
        print(f"{options.rows:,} rows; PostgreSQL {database.version(address)}, Spark {trial.spark.version}")
        print(f"cores that other work used: {others():.1f} of {os.cpu_count()}\n\n{HEADINGS}", flush=True)
        for measured in measure(trial, options.strategies):
            print(measured, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
