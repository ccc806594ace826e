"""What is compared: the ways, and what a way's process is told."""

from __future__ import annotations

from dataclasses import dataclass

TABLE = "lineitem"
WARM_UP_TABLE = "warm_up"
PARQUET = f"{TABLE}.parquet"
TEXTS = ("part-0.txt", "part-1.txt")  # one for each of psql's connections
CONNECTIONS = len(TEXTS)  # of psql and ADBC: as many as Spark has cores
SPARK_OPTIONS = ("--master", f"local[{CONNECTIONS}]", "--conf", "spark.ui.enabled=false")
JDBC_BATCH = 10_000  # rows; above it JDBC got no faster, and its memory grows. Likewise where it reads.


@dataclass(frozen=True)
class Way:
    """A way to load the table, or to read it.

    Attributes:
        label: its name in the report.
        module: what does it, in bench.ways.
        makes_table: the load makes the table; else it is there, empty.
        arrow: pgjobs' reading only: decode by PyArrow, else in pure Python.
        reads: it reads the table, which a load before has filled.
        verify: pgjobs' loads only: compare the table with what Spark meant, before the commit.
    """

    label: str
    module: str
    spark: bool = True
    makes_table: bool = False
    arrow: bool = False
    reads: bool = False
    verify: bool = False


LOAD = Way("pgjobs, table exists", "pgjobs")
LOAD_MAKES = Way("pgjobs, makes the table", "pgjobs", makes_table=True)
VERIFIED = Way("pgjobs --verify, table exists", "pgjobs", verify=True)
VERIFIED_MAKES = Way("pgjobs --verify, makes the table", "pgjobs", makes_table=True, verify=True)
JDBC = Way("Spark JDBC, reWriteBatchedInserts", "jdbc")
ROWS = Way("Spark, psycopg COPY row by row", "psycopg_rows")
ADBC = Way(f"ADBC, {CONNECTIONS} connections, no Spark", "adbc", spark=False)
PSQL = Way(f"psql \\copy of text, {CONNECTIONS} connections", "psql", spark=False)
LOADS = (LOAD, VERIFIED, LOAD_MAKES, VERIFIED_MAKES, JDBC, ROWS, ADBC, PSQL)

READ_ARROW = Way("pgjobs extract, PyArrow", "pgjobs_extract", arrow=True, reads=True)
READ_PURE = Way("pgjobs extract, pure Python", "pgjobs_extract", reads=True)
READ_JDBC = Way(f"Spark JDBC, {CONNECTIONS} partitions", "jdbc_extract", reads=True)
READ_PSQL = Way(f"psql, {CONNECTIONS} connections, no Spark", "psql_extract", spark=False, reads=True)
READS = (READ_ARROW, READ_PURE, READ_JDBC, READ_PSQL)

WAYS = (*LOADS, *READS)
NEED_JAR = (JDBC, READ_JDBC)


@dataclass(frozen=True)
class Server:
    """Where the database is; no password is asked for."""

    host: str
    port: int
    user: str
    dbname: str


@dataclass(frozen=True)
class Task:
    """What a way's process is to load, and where to; or what it is to read.

    Attributes:
        folder: of the data: PARQUET and TEXTS.
        psql: the program.
    """

    server: Server
    table: str
    folder: str
    arrow: bool
    psql: str
    verify: bool = False

    @property
    def parquet(self) -> str:
        """The rows as a Parquet file."""
        return f"{self.folder}/{PARQUET}"
