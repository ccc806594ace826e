"""What is compared: the ways, and the task of a way's process."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import BenchError

TABLE = "lineitem"
WARM_UP_TABLE = "warm_up"
KEPT_TABLE = "kept"
"""The rows on the server, from which the table is filled before an upsert."""
KEYS = ("l_orderkey", "l_linenumber")
PARQUET = f"{TABLE}.parquet"
TEXTS = ("part-0.txt", "part-1.txt")  # one for each of psql's connections
CONNECTIONS = len(TEXTS)  # of psql and ADBC: as many as Spark has cores
SPARK_OPTIONS = ("--master", f"local[{CONNECTIONS}]", "--conf", "spark.ui.enabled=false")
JDBC_BATCH = 10_000  # rows; with more, JDBC got no faster and used more memory. The same applies to its reads.


@dataclass(frozen=True)
class Way:
    """A way to load the table, or to read it.

    Attributes:
        label: Its name in the report.
        module: The module in bench.ways that implements it.
        makes_table: Whether the load creates the table; otherwise it exists and is empty.
        arrow: Only for reads by pgjobs: whether to decode by PyArrow, otherwise in pure Python.
        reads: Whether it reads the table, which a previous load has filled.
        verify: Only for loads by pgjobs: whether to verify the table before the commit.
        indexed: Whether the table has a primary key and two more indexes.
        changed: Only for upserts: the share of the table's rows that differ from the data. None for an append.
        skip_unchanged: Only for upserts by pgjobs: whether unchanged rows are skipped.
    """

    label: str
    module: str
    spark: bool = True
    makes_table: bool = False
    arrow: bool = False
    reads: bool = False
    verify: bool = False
    indexed: bool = False
    changed: float | None = None
    skip_unchanged: str = "auto"


LOAD = Way("pgjobs, table exists", "pgjobs")
LOAD_MAKES = Way("pgjobs, makes the table", "pgjobs", makes_table=True)
VERIFIED = Way("pgjobs --verify, table exists", "pgjobs", verify=True)
VERIFIED_MAKES = Way("pgjobs --verify, makes the table", "pgjobs", makes_table=True, verify=True)
JDBC = Way("Spark JDBC, reWriteBatchedInserts", "jdbc")
ROWS = Way("Spark, psycopg COPY row by row", "psycopg_rows")
ADBC = Way(f"ADBC, {CONNECTIONS} connections, no Spark", "adbc", spark=False)
PSQL = Way(f"psql \\copy of text, {CONNECTIONS} connections", "psql", spark=False)
COPY_ROWS = Way("pgjobs copy_rows, no Spark", "copy_rows", spark=False)
LOADS = (LOAD, VERIFIED, LOAD_MAKES, VERIFIED_MAKES, JDBC, ROWS, ADBC, PSQL, COPY_ROWS)

INDEXED = Way("pgjobs, three indexes", "pgjobs", indexed=True)
JDBC_INDEXED = Way("Spark JDBC, three indexes", "jdbc", indexed=True)
SAME = Way("pgjobs upsert, 0 % changed", "pgjobs", indexed=True, changed=0.0)
TENTH = Way("pgjobs upsert, 10 % changed", "pgjobs", indexed=True, changed=0.1)
TENTH_WRITES_ALL = Way(
    "pgjobs upsert, 10 % changed, all written", "pgjobs", indexed=True, changed=0.1, skip_unchanged="no"
)
ALL = Way("pgjobs upsert, 100 % changed", "pgjobs", indexed=True, changed=1.0)
INTO_INDEXED = (INDEXED, JDBC_INDEXED, SAME, TENTH, TENTH_WRITES_ALL, ALL)

READ_ARROW = Way("pgjobs extract, PyArrow", "pgjobs_extract", arrow=True, reads=True)
READ_PURE = Way("pgjobs extract, pure Python", "pgjobs_extract", reads=True)
READ_JDBC = Way(f"Spark JDBC, {CONNECTIONS} partitions", "jdbc_extract", reads=True)
READ_PSQL = Way(f"psql, {CONNECTIONS} connections, no Spark", "psql_extract", spark=False, reads=True)
READ_FILES = Way("pgjobs extract_table, to Parquet", "pgjobs_extract_files", reads=True)
COMPARE = Way("pgjobs compare_table, one cell changed", "pgjobs_compare", reads=True)
READS = (READ_ARROW, READ_PURE, READ_JDBC, READ_PSQL, READ_FILES, COMPARE)

WAYS = (*LOADS, *READS, *INTO_INDEXED)
NEED_JAR = (JDBC, JDBC_INDEXED, READ_JDBC)


def choose(text: str) -> tuple[Way, ...]:
    """Return the ways whose name contains a text, or one of several; a load before them if they read what it leaves.

    Args:
        text: The text, or several with a | between them.

    Raises:
        BenchError: there are none.
    """
    ways = tuple(way for way in WAYS if any(part in way.label for part in text.split("|")))
    if not ways:
        raise BenchError(f"No way's name contains {text!r}: {'; '.join(way.label for way in WAYS)}")
    return (LOAD, *ways) if all(way.reads for way in ways) else ways


@dataclass(frozen=True)
class Server:
    """The address of the database, which requires no password."""

    host: str
    port: int
    user: str
    dbname: str


@dataclass(frozen=True)
class Task:
    """What a way's process loads, and into which database; or what it reads.

    Attributes:
        folder: The folder of the data: PARQUET and TEXTS.
        psql: The path of the program.
    """

    server: Server
    table: str
    folder: str
    arrow: bool
    psql: str
    verify: bool = False
    mode: str = "append"
    skip_unchanged: str = "auto"

    @property
    def parquet(self) -> str:
        """Return the path of the rows as a Parquet file."""
        return f"{self.folder}/{PARQUET}"
