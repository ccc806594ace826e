"""Measure COPY's binary format beside its text format: CPU of the JVM, of Python and of the server, and bytes.

    python -m bench.binary --scale 0.3 --rounds 2

Text is what a load sends. Binary is the prototype in bench.binary_rows. Both take the same way: encoded by Spark,
copied by its tasks over two connections, into an unlogged table (as a load stages) and into a logged one (as a load
makes its table, or copies parts). `publish` is the server's CPU for INSERT .. SELECT from the former. Earlier rounds
warm up.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import RDD
from pyspark.sql import SparkSession

from bench.binary_rows import BinaryRows, RowDeserializer
from bench.errors import BenchError
from bench.machine import database
from bench.machine.address import Server
from bench.machine.cpu import Cpu, so_far
from bench.places import FOLDER
from bench.tpch import files, tables
from bench.tpch.names import CONNECTIONS, PARQUET
from jobs.copyformat import encode_spark
from jobs.copyformat.match_columns import match_new
from jobs.dbaccess.network import bodies
from jobs.dbaccess.network.messages import COPY_IN
from jobs.spark.tasks import copy_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

    from jobs.dbaccess.load.copying.parts import Counted
    from jobs.dbaccess.network.copy_in import Block

TEXT, BINARY = "text", "binary"
TABLE, PUBLISHED = "copied", "published"
INTEGERS = ("l_orderkey", "l_partkey", "l_suppkey", "l_linenumber")
TEXTS = ("l_comment", "l_shipinstruct", "l_shipmode", "l_returnflag")
CONTENTS = {
    "lineitem": (tuple(tables.TYPES),),
    "integers": (INTEGERS, INTEGERS, INTEGERS),
    "texts": (("l_orderkey",), TEXTS, TEXTS),
}
"""The tables: lineitem's columns, one group after another."""


@dataclass(frozen=True)
class Copied:
    """One COPY of a table, and its publish.

    Attributes:
        found: The sum of hashes of the rows that the table has afterwards.
    """

    content: str
    format: str
    logged: bool
    cpu: Cpu
    publish: float
    megabytes: float
    found: str


def main() -> int:
    """Run the measurement in a process of its own for each table, and print the figures."""
    parser = argparse.ArgumentParser(prog="bench.binary", description=__doc__, allow_abbrev=False)
    parser.add_argument("--scale", type=float, default=0.3, help="TPC-H's scale factor")
    parser.add_argument("--rounds", type=int, default=2, help="the last one counts")
    parser.add_argument("--only", choices=CONTENTS, action="append", help="the table; default: all")
    options = parser.parse_args()
    folder = FOLDER / f"scale-{options.scale:g}"
    folder.mkdir(parents=True, exist_ok=True)
    files.make(folder, options.scale)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server's folder is removed
    with database.server() as manager:
        if manager.process is None:
            raise BenchError("PostgreSQL does not run")
        bench = Bench(Server(manager.host, manager.port, manager.user, "postgres"), manager.process.pid)
        print(HEADINGS, flush=True)
        for content in options.only or CONTENTS:
            for copied in measure(rows_of(content, folder / PARQUET), bench, options.rounds):
                print(line(copied), flush=True)
    return 0


HEADINGS = (
    "| table | format | into | JVM, s | Python, s | server, s | publish, s | all CPU, s | MB sent |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def line(one: Copied) -> str:
    """Return the figures as a line of the table."""
    figures = (*one.cpu, one.publish, sum(one.cpu) + one.publish)
    cells = [one.content, one.format, "logged" if one.logged else "unlogged", *(f"{figure:.1f}" for figure in figures)]
    return f"| {' | '.join(cells)} | {one.megabytes:.0f} |"


@dataclass(frozen=True)
class Bench:
    """Where rows are copied to."""

    server: Server
    server_pid: int

    def copy(self, rows: Rows, format_: str, *, logged: bool) -> Copied:
        """Copy once, into an empty table."""
        with database.session(self.server) as session:
            session.run(f"DROP TABLE IF EXISTS {TABLE}, {PUBLISHED}")
            session.run(f"CREATE {'' if logged else 'UNLOGGED'} TABLE {TABLE} ({rows.types})")
            session.run(f"CREATE TABLE {PUBLISHED} ({rows.types})")
            session.run("CHECKPOINT")
            before = so_far(self.server_pid)
            blocks = text_blocks(rows.df) if format_ == TEXT else binary_blocks(rows.df)
            sizes = blocks.mapPartitions(Copier(self.server, format_)).collect()
            copied = so_far(self.server_pid)
            if not logged:
                session.run(f"INSERT INTO {PUBLISHED} SELECT * FROM {TABLE}")
            publish = so_far(self.server_pid).since(copied).server
            [[found]] = session.run(f"SELECT sum(hash_record_extended({TABLE}, 0))::text FROM {TABLE}")
        return Copied(
            rows.content,
            format_,
            logged,
            cpu=copied.since(before),
            publish=publish,
            megabytes=sum(sizes) / 1e6,
            found=found,
        )


@dataclass(frozen=True)
class Rows:
    """What is copied.

    Attributes:
        types: The table's columns, as CREATE TABLE has them.
    """

    content: str
    df: DataFrame
    types: str


def rows_of(content: str, parquet: Path) -> Rows:
    """Return the rows of a table: lineitem's columns, chosen and repeated."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = SparkSession.builder.master(f"local[{CONNECTIONS}]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    columns = {f"c{place}": name for place, name in enumerate(chain.from_iterable(CONTENTS[content]))}
    df = spark.read.parquet(str(parquet)).select(*columns.values()).toDF(*columns)
    return Rows(content, df, ", ".join(f"{name} {tables.TYPES[column]}" for name, column in columns.items()))


def measure(rows: Rows, bench: Bench, rounds: int) -> Iterator[Copied]:
    """Copy in both formats, into both kinds of tables, and yield the figures of the last round.

    Raises:
        BenchError: What was copied depends on the format.
    """
    found = set()
    for number in range(1, rounds + 1):
        for logged in (False, True):
            for format_ in (TEXT, BINARY):
                copied = bench.copy(rows, format_, logged=logged)
                found.add(copied.found)
                if len(found) > 1:
                    raise BenchError(f"{rows.content} by {format_} is not what it was before")
                if number == rounds:
                    yield copied


def text_blocks(df: DataFrame) -> RDD[Counted]:
    """Return the rows as a load sends them."""
    lines = encode_spark.encode(df, match_new(df.schema))
    return copy_blocks.plan_parts(copy_blocks.as_octets(lines), lambda parts: parts)


def binary_blocks(df: DataFrame) -> RDD[Counted]:
    """Return the rows in binary format."""
    encoded = copy_blocks.plan_parts(BinaryRows().encode(df), lambda parts: parts)
    # PySpark has no public way to read the JVM's values by another deserializer.
    return RDD(encoded._jrdd, encoded.context, RowDeserializer())  # noqa: SLF001 - see above


@dataclass(frozen=True)
class Copier:
    """What a task does: copy its part. Yields how many bytes it sent."""

    server: Server
    format: str

    def __call__(self, blocks: Iterable[Counted]) -> Iterator[int]:
        """Copy one part."""
        size = 0

        def counted() -> Iterator[Block]:
            nonlocal size
            for one in blocks:
                size += len(one.block)
                yield one.block

        # The client of a load refuses a COPY that is not in text format.
        bodies._FORMS = {**bodies._FORMS, COPY_IN: bool}  # noqa: SLF001 - see above
        with database.session(self.server) as session:
            session.copy_in(f"COPY {TABLE} FROM STDIN (FORMAT {self.format})", counted())
        yield size


if __name__ == "__main__":
    sys.exit(main())
