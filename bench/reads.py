"""Measure where the CPU of an extract goes: the JVM, Python and the server, of pgjobs and of Spark's JDBC reader.

    python -m bench.reads --scale 0.3 --rounds 3

`ready batches` has no server: a worker hands over the same batch again and again, which PyArrow has decoded before. So
it is what an extract by PyArrow takes if COPY and decoding take nothing. Earlier rounds warm up.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import SparkSession

from bench.errors import BenchError
from bench.machine import cpu, database
from bench.machine.address import Server
from bench.machine.jdbc_jar import find_jar
from bench.places import FOLDER
from bench.tpch import files, tables
from bench.tpch.names import CONNECTIONS, TABLE, TEXTS
from bench.ways.ours import extract
from bench.ways.peers import jdbc_extract
from bench.ways.reading import drain
from bench.ways.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

BATCH = 16_000  # rows, of about 2 MB as text: a block of an extract
HEADINGS = "| way | JVM, s | Python, s | server, s | all CPU, s |\n|---|---|---|---|---|"


def main() -> int:
    """Run the ways in turn, and print the last round's figures."""
    parser = argparse.ArgumentParser(prog="bench.reads", description=__doc__, allow_abbrev=False)
    parser.add_argument("--scale", type=float, default=0.3, help="TPC-H's scale factor")
    parser.add_argument("--rounds", type=int, default=3, help="the last one counts")
    options = parser.parse_args()
    folder = FOLDER / f"scale-{options.scale:g}"
    folder.mkdir(parents=True, exist_ok=True)
    totals = files.make(folder, options.scale)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server's folder is removed
    with database.server() as manager:
        if manager.process is None:
            raise BenchError("PostgreSQL does not run")
        server = Server(manager.host, manager.port, manager.user, "postgres")
        fill(server, folder)
        start_spark()
        task = Task(server, TABLE, str(folder), psql="")
        for number in range(1, options.rounds + 1):
            for name, read in ways(task, totals.rows).items():
                before = cpu.so_far(manager.process.pid)
                read()
                used = cpu.so_far(manager.process.pid).since(before)
                if number == options.rounds:
                    print(line(name, used), flush=True)
            if number + 1 == options.rounds:
                print(HEADINGS, flush=True)
    return 0


def ways(task: Task, rows: int) -> Mapping[str, Callable[[], object]]:
    """Return what is compared."""
    return {
        "pgjobs extract, PyArrow": lambda: extract.run(Task(**{**vars(task), "arrow": True})),
        "pgjobs extract, pure Python": lambda: extract.run(task),
        "Spark JDBC, 2 partitions": lambda: jdbc_extract.run(task),
        "ready batches": lambda: hand_over(task, rows),
    }


def fill(server: Server, folder: Path) -> None:
    """Fill the table, and bring it to a steady state."""
    tables.prepare(server)
    with database.session(server) as session:
        for text in TEXTS:
            session.copy_in(f"COPY {TABLE} FROM STDIN", blocks(folder / text))
    tables.settle(server)


def blocks(text: Path) -> Iterator[bytes]:
    """Yield a file in blocks."""
    with text.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def start_spark() -> None:
    """Start the session that all ways use."""
    jar = find_jar()
    if jar is None:
        raise BenchError("there is no jar of the JDBC driver")
    builder = SparkSession.builder.master(f"local[{CONNECTIONS}]").config("spark.jars", str(jar))
    builder.config("spark.ui.enabled", "false").getOrCreate().sparkContext.setLogLevel("ERROR")


def hand_over(task: Task, rows: int) -> None:
    """Have workers hand over as many rows as the table has: its first ones, again and again."""
    spark = SparkSession.builder.getOrCreate()
    first = files.first_rows(Path(task.parquet), BATCH)
    batch = first.cast(files.without_views(first.schema))

    def repeated(numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in (part for number in numbers for part in number.column(0).to_pylist()):
            left = (rows + part) // CONNECTIONS
            while left > 0:
                yield batch.slice(0, left)
                left -= batch.num_rows

    schema = spark.read.parquet(task.parquet).schema
    drain(spark.range(0, CONNECTIONS, 1, CONNECTIONS).mapInArrow(repeated, schema), task)


def line(name: str, used: cpu.Cpu) -> str:
    """Return the figures as a line of the table."""
    return f"| {name} | {' | '.join(f'{figure:.1f}' for figure in (*used, sum(used)))} |"


if __name__ == "__main__":
    sys.exit(main())
