"""What is compared: the ways to load the table, and to read it."""

from __future__ import annotations

from bench.errors import BenchError
from bench.plan.way import Way
from bench.tpch.names import CONNECTIONS, KEYS, THREE, TINY, WIDE

MANY = 16
"""Connections to the throttled server."""
PARTS = ("--publish", "parts")
VERIFY = ("--verify",)
QUARANTINE = ("--on-error", "quarantine")
ONE_IN_10000_BAD = """
    SELECT l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag,
    l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode,
    IF(pmod(xxhash64(l_orderkey, l_linenumber), 10000) = 0, repeat('too long', 8), l_comment) AS l_comment FROM source
"""
"""The rows, some of which the server refuses, because the column takes 44 characters."""
UPSERT = ("--mode", "upsert", "--keys", ",".join(KEYS))
OVERWRITE = ("--mode", "overwrite")
DIFF = (*OVERWRITE, "--overwrite-strategy", "diff", "--keys", ",".join(KEYS))

LOAD = Way("pgjobs, table exists", "ours.load")
LOAD_MAKES = Way("pgjobs, makes the table", "ours.load", makes_table=True)
LOAD_PARTS = Way("pgjobs --publish parts, table exists", "ours.load", PARTS)
VERIFIED = Way("pgjobs --verify, table exists", "ours.load", VERIFY)
VERIFIED_MAKES = Way("pgjobs --verify, makes the table", "ours.load", VERIFY, makes_table=True)
NONE_BAD = Way("pgjobs --on-error quarantine, none bad, table exists", "ours.load", QUARANTINE)
SOME_BAD = Way(
    "pgjobs --on-error quarantine, one row in 10,000 bad, table exists",
    "ours.load",
    (*QUARANTINE, "--select", ONE_IN_10000_BAD),
)
PGCOPY = Way("pgcopy write", "ours.pgcopy")
JDBC = Way("Spark JDBC, reWriteBatchedInserts", "peers.jdbc")
ROWS = Way("Spark, psycopg COPY row by row", "peers.psycopg_rows")
ADBC = Way(f"ADBC, {CONNECTIONS} connections, no Spark", "peers.adbc", spark=False)
DLT = Way(f"dlt, {CONNECTIONS} workers, CSV, no Spark", "peers.dlt_csv", spark=False, makes_table=True)
PSQL = Way(f"psql \\copy of text, {CONNECTIONS} connections", "peers.psql", spark=False)
COPY_ROWS = Way("pgjobs copy_rows, no Spark", "ours.copy_rows", spark=False)
COPY_TABLE = Way("pgjobs copy_table, from server to server, no Spark", "ours.copy_table", spark=False, copies=True)
LOADS = (
    LOAD,
    NONE_BAD,
    SOME_BAD,
    LOAD_PARTS,
    VERIFIED,
    LOAD_MAKES,
    VERIFIED_MAKES,
    PGCOPY,
    JDBC,
    ROWS,
    ADBC,
    DLT,
    PSQL,
    COPY_ROWS,
    COPY_TABLE,
)

GROWTH = (LOAD, LOAD_MAKES, JDBC)
"""The ways whose figures are compared between scales."""

INDEXED = Way("pgjobs, three indexes", "ours.load", indexed=True)
PARTS_INDEXED = Way("pgjobs --publish parts, three indexes", "ours.load", PARTS, indexed=True)
JDBC_INDEXED = Way("Spark JDBC, three indexes", "peers.jdbc", indexed=True)
PSQL_INDEXED = Way(
    f"psql \\copy of text, {CONNECTIONS} connections, three indexes", "peers.psql", spark=False, indexed=True
)
SAME = Way("pgjobs upsert, 0 % changed", "ours.load", UPSERT, indexed=True, changed=0.0)
TENTH = Way("pgjobs upsert, 10 % changed", "ours.load", UPSERT, indexed=True, changed=0.1)
TENTH_WRITES_ALL = Way(
    "pgjobs upsert, 10 % changed, all written",
    "ours.load",
    (*UPSERT, "--skip-unchanged", "no"),
    indexed=True,
    changed=0.1,
)
ALL = Way("pgjobs upsert, 100 % changed", "ours.load", UPSERT, indexed=True, changed=1.0)
REPLACED = Way("pgjobs overwrite, three indexes", "ours.load", OVERWRITE, indexed=True, changed=0.1)
DIFFERENCE = Way("pgjobs overwrite by difference, 10 % changed", "ours.load", DIFF, indexed=True, changed=0.1)
INTO_INDEXED = (
    INDEXED,
    PARTS_INDEXED,
    JDBC_INDEXED,
    PSQL_INDEXED,
    SAME,
    TENTH,
    TENTH_WRITES_ALL,
    ALL,
    REPLACED,
    DIFFERENCE,
)

YEARS_REPLACED = Way(
    "pgjobs replace-partitions, 7 years, three indexes",
    "ours.load",
    ("--mode", "replace-partitions"),
    indexed=True,
    partitioned=True,
    changed=0.1,
)
YEARS_OVERWRITTEN = Way(
    "pgjobs overwrite, 7 years, three indexes", "ours.load", OVERWRITE, indexed=True, partitioned=True, changed=0.1
)
YEARS_CREATED = Way(
    "pgjobs --new-partitions, 7 years, three indexes",
    "ours.load",
    ("--new-partitions", "year"),
    indexed=True,
    partitioned=True,
    lacks_partitions=True,
)
YEARS_ATTACHED = Way(
    "pgjobs replace-partitions, 7 new years, three indexes",
    "ours.load",
    ("--mode", "replace-partitions", "--new-partitions", "year"),
    indexed=True,
    partitioned=True,
    lacks_partitions=True,
)
INTO_PARTITIONS = (YEARS_REPLACED, YEARS_OVERWRITTEN, YEARS_CREATED, YEARS_ATTACHED)

WIDE_LOAD = Way("pgjobs, 200 columns", "ours.load", data=WIDE)
WIDE_JDBC = Way("Spark JDBC, 200 columns", "peers.jdbc", data=WIDE)
WIDES = (WIDE_LOAD, WIDE_JDBC)

MANY_LOAD = Way(f"pgjobs, {MANY} throttled connections", "ours.load", throttled=True, connections=MANY)
MANY_PARTS = Way(
    f"pgjobs --publish parts, {MANY} throttled connections", "ours.load", PARTS, throttled=True, connections=MANY
)
MANY_MAKES = Way(
    f"pgjobs, makes the table, {MANY} throttled connections",
    "ours.load",
    throttled=True,
    connections=MANY,
    makes_table=True,
)
MANY_JDBC = Way(f"Spark JDBC, {MANY} throttled connections", "peers.jdbc", throttled=True, connections=MANY)
THROTTLED = (MANY_LOAD, MANY_PARTS, MANY_MAKES, MANY_JDBC)

SMALLEST = Way("pgjobs, 1,000 rows, ten loads of a session", "ours.small", data=TINY, loads=10)
SMALLS = (SMALLEST,)

RELEASE = Way("pgjobs load_release, three tables", "ours.release", data=THREE)
THREE_LOADS = Way("pgjobs, three loads of a table each", "ours.three", data=THREE)
THREES = (RELEASE, THREE_LOADS)

READ_ARROW = Way("pgjobs extract, PyArrow", "ours.extract", arrow=True, reads=True)
READ_PURE = Way("pgjobs extract, pure Python", "ours.extract", reads=True)
READ_PGCOPY = Way("pgcopy read", "ours.pgcopy_extract", reads=True)
READ_JDBC = Way(f"Spark JDBC, {CONNECTIONS} partitions", "peers.jdbc_extract", reads=True)
READ_CONNECTORX = Way(
    f"ConnectorX, {CONNECTIONS} connections, no Spark", "peers.connectorx_extract", spark=False, reads=True
)
READ_PSQL = Way(f"psql, {CONNECTIONS} connections, no Spark", "peers.psql_extract", spark=False, reads=True)
READ_FILES = Way("pgjobs extract_table, to Parquet", "ours.extract_files", reads=True)
COMPARE = Way("pgjobs compare_table, one cell changed", "ours.compare", reads=True)
READS = (READ_ARROW, READ_PURE, READ_PGCOPY, READ_JDBC, READ_CONNECTORX, READ_PSQL, READ_FILES, COMPARE)

TABLES: dict[str, tuple[tuple[Way, ...], Way | None]] = {
    "loading": (LOADS, JDBC),
    "extracting": (READS, READ_JDBC),
    "three indexes": (INTO_INDEXED, JDBC_INDEXED),
    "partitions": (INTO_PARTITIONS, None),
    "200 columns": (WIDES, WIDE_JDBC),
    "throttled": (THROTTLED, MANY_JDBC),
    "smallest load": (SMALLS, None),
    "three tables": (THREES, None),
}
"""The tables of the report: the ways, and the one whose figures the others' are multiples of."""

WAYS = tuple(way for ways, _ in TABLES.values() for way in ways)


def choose(text: str) -> tuple[Way, ...]:
    """Return the ways whose name contains a text, or one of several.

    Args:
        text: The text, or several with a | between them.

    Raises:
        BenchError: there are none.
    """
    ways = tuple(way for way in WAYS if any(part in way.label for part in text.split("|")))
    if not ways:
        raise BenchError(f"No way's name contains {text!r}: {'; '.join(way.label for way in WAYS)}")
    return ways
