"""Measure how indexes of a table that a load makes are built: one after another, with workers, and side by side.

    python -m bench.indexes --rows 1500000 --rounds 2 --throttled

The table has a primary key and two more indexes, built by CREATE INDEX on rows that are there. Each way has the
parallel workers that it names, the memory of each build, and so many connections, which build different indexes at the
same time. A round measures all ways on the same table. --throttled simulates a server of many cores (bench.throttle).
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

from bench.errors import BenchError
from bench.machine import database
from bench.machine.address import Server
from bench.machine.cpu import so_far
from bench.throttle import throttled

INDEXES = ("CREATE UNIQUE INDEX ON t (id)", "CREATE INDEX ON t (day, n)", "CREATE INDEX ON t (name)")
FILL = (
    "INSERT INTO t SELECT i::bigint * 7919 %% 2147483647, date '2020-01-01' + i %% 2000, i::bigint * 31 %% 100003, "
    "md5(i::text), i / 100.0 FROM generate_series(1, %s::int) AS i"
)


class Way(NamedTuple):
    """How the indexes are built: settings of each session, and how many sessions."""

    workers: int
    memory: str
    connections: int


WAYS = (
    Way(0, "64MB", 1),
    Way(2, "64MB", 1),
    Way(0, "256MB", 1),
    Way(2, "256MB", 1),
    Way(4, "256MB", 1),
    Way(2, "128MB", 1),
    Way(0, "64MB", 2),
    Way(0, "64MB", 3),
    Way(0, "256MB", 3),
)


def build(address: Server, way: Way, statements: tuple[str, ...]) -> None:
    """Build indexes in one transaction."""
    with database.session(address) as session:
        settings = {"max_parallel_maintenance_workers": str(way.workers), "maintenance_work_mem": way.memory}
        with session.transaction(**settings):
            for statement in statements:
                session.run(statement)


def measure(address: Server, pid: int, way: Way) -> tuple[float, float]:
    """Return the seconds and the server's CPU seconds of building all indexes."""
    shares = [INDEXES[first :: way.connections] for first in range(way.connections)]
    before, begun = so_far(pid), time.monotonic()
    with ThreadPoolExecutor(way.connections) as threads:
        list(threads.map(lambda share: build(address, way, share), shares))
    seconds = time.monotonic() - begun
    return seconds, so_far(pid).since(before).server


def reset(address: Server) -> None:
    """Drop the indexes."""
    with database.session(address) as session:
        for [name] in session.run("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 't'::regclass"):
            session.run(f"DROP INDEX {name}")
        session.run("CHECKPOINT")


def main() -> None:
    """Print a line for each way in each round."""
    parser = argparse.ArgumentParser(prog="bench.indexes", allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--throttled", action="store_true", help="give each process of the server a tenth of a core")
    options = parser.parse_args()
    with database.server() as manager:
        if manager.process is None:
            raise BenchError("PostgreSQL does not run")
        address, pid = Server(manager.host, manager.port, manager.user, "postgres"), manager.process.pid
        with database.session(address) as session:
            session.run("CREATE TABLE t (id bigint NOT NULL, day date, n int, name text, amount numeric)")
            session.run(FILL, options.rows)
            session.run("VACUUM ANALYZE t")
        with throttled(pid) if options.throttled else nullcontext():
            for number in range(1, options.rounds + 1):
                for way in WAYS:
                    reset(address)
                    seconds, cpu = measure(address, pid, way)
                    print(f"{number}  {way}  {seconds:.2f} s, CPU {cpu:.2f} s", flush=True)


if __name__ == "__main__":
    main()
