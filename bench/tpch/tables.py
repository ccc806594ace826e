"""The server, and the statements before and after a load."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.plan.catalogue import THREE, WIDE
from bench.tpch.files import SAMPLE_ROWS, Totals, wide_names
from bench.ways.task import BESIDE, KEPT_TABLE, KEYS, TABLE, WARM_UP_TABLE, Server, beside_table
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.postgres_connectivity import connect
from servermgr.postgres import Manager

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jobs.dbaccess.session import Session

# Differs from PostgreSQL's defaults, so that no checkpoint falls into one load and not into another.
SERVER_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"}

# TPC-H's own types (4.1 of its specification: identifiers are wide), and no index.
TYPES = {
    **dict.fromkeys(("l_orderkey", "l_partkey", "l_suppkey"), "bigint"),
    "l_linenumber": "integer",
    **dict.fromkeys(("l_quantity", "l_extendedprice", "l_discount", "l_tax"), "numeric(15,2)"),
    **dict.fromkeys(("l_returnflag", "l_linestatus"), "char(1)"),
    **dict.fromkeys(("l_shipdate", "l_commitdate", "l_receiptdate"), "date"),
    "l_shipinstruct": "char(25)",
    "l_shipmode": "char(10)",
    "l_comment": "varchar(44)",
}
COLUMNS_BESIDE = {
    "customer": (
        "c_custkey bigint, c_name varchar(25), c_address varchar(40), c_nationkey bigint, c_phone char(15), "
        "c_acctbal numeric(15,2), c_mktsegment char(10), c_comment varchar(117)"
    ),
    "orders": (
        "o_orderkey bigint, o_custkey bigint, o_orderstatus char(1), o_totalprice numeric(15,2), o_orderdate date, "
        "o_orderpriority char(15), o_clerk char(15), o_shippriority integer, o_comment varchar(79)"
    ),
}
BY_YEAR, YEARS = "PARTITION BY RANGE (l_shipdate)", range(1992, 1999)
OF_DLT = ("_dlt_loads", "_dlt_pipeline_state", "_dlt_version")
"""Tables in which dlt keeps that its target exists, which it then does not create again."""
FOR_READS = "pgjobs bench: lineitem as it is read"
"""The comment on the table while it holds the data for reads."""


@contextlib.contextmanager
def server() -> Iterator[Manager]:
    """Run a PostgreSQL for the benchmark."""
    # Not below the clone, which other users may not be able to enter: as root, the server runs as another user.
    directory = tempfile.mkdtemp(prefix="pgjobs-bench-")
    Path(directory).chmod(0o755)
    try:
        with Manager("127.0.0.1", 0, f"{directory}/data", initialize=True, settings=SERVER_SETTINGS) as manager:
            yield manager
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def session(address: Server) -> Iterator[Session]:
    """Open a session."""
    given = Given({name: str(value) for name, value in asdict(address).items()})
    with connect(resolve(given, {}).settings, "pgjobs bench") as opened:
        yield opened


def columns(data: str = "") -> str:
    """Return the columns of a table for the data of a folder, as CREATE TABLE has them."""
    types = list(TYPES.values())
    names = wide_names(list(TYPES)) if data == WIDE else list(TYPES)
    return ", ".join(f"{name} {types[number % len(types)]}" for number, name in enumerate(names))


def prepare(
    address: Server,
    data: str = "",
    *,
    make_tables: bool = True,
    partitioned: bool = False,
    years: Iterable[int] = YEARS,
) -> None:
    """Remove what the previous load left, and create the tables if they are to exist."""
    with session(address) as opened:
        opened.run(f"DROP TABLE IF EXISTS {', '.join(OF_DLT)}")
        for table in (TABLE, WARM_UP_TABLE):
            opened.run(f"DROP TABLE IF EXISTS {table}, {table}_rejects")
            if make_tables:
                opened.run(f"CREATE TABLE {table} ({columns(data)}) {BY_YEAR if partitioned else ''}")
            for year in years if partitioned else ():
                bounds = f"FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
                opened.run(f"CREATE TABLE {table}_{year} PARTITION OF {table} FOR VALUES {bounds}")
            for name in BESIDE:
                beside = beside_table(table, name)
                opened.run(f"DROP TABLE IF EXISTS {beside}")
                if data == THREE:
                    opened.run(f"CREATE TABLE {beside} ({COLUMNS_BESIDE[name]})")
        opened.run("CHECKPOINT")
    os.sync()


def keep(address: Server) -> bool:
    """Create the table that keeps the rows on the server. Return whether it is new, and therefore empty."""
    with session(address) as opened:
        if opened.run("SELECT to_regclass(%s) IS NULL", KEPT_TABLE) == [[False]]:
            return False
        opened.run(f"CREATE UNLOGGED TABLE {KEPT_TABLE} ({columns()})")
        return True


def fill(address: Server, changed: float) -> None:
    """Fill the table with the kept rows, a share of them with another price than the data's."""
    other_price = f"CASE WHEN hashint8(l_orderkey * 8 + l_linenumber) & 1023 < {1024 * changed:g} THEN 1 ELSE 0 END"
    values = ", ".join(f"{name} + {other_price}" if name == "l_extendedprice" else name for name in TYPES)
    with session(address) as opened:
        opened.run(f"INSERT INTO {TABLE} SELECT {values} FROM {KEPT_TABLE}")


def is_for_reads(address: Server) -> bool:
    """Return whether the table holds the data for reads."""
    with session(address) as opened:
        comment = opened.run("SELECT obj_description(to_regclass(%s), 'pg_class')", TABLE)
    return comment == [[FOR_READS]]


def fill_for_reads(address: Server) -> None:
    """Fill the table with the kept rows, unchanged, and bring it to a steady state."""
    prepare(address)
    fill(address, changed=0)
    settle(address)
    with session(address) as opened:
        first = f"ORDER BY {', '.join(KEYS)} LIMIT {SAMPLE_ROWS}"  # as in the sample's file
        opened.run(f"INSERT INTO {WARM_UP_TABLE} SELECT * FROM {KEPT_TABLE} {first}")
        opened.run(f"COMMENT ON TABLE {TABLE} IS '{FOR_READS}'")


def index(address: Server, *, partitioned: bool = False) -> None:
    """Create a primary key and two more indexes on the tables. A partitioned table's key contains the partition key."""
    keys = (*KEYS, "l_shipdate") if partitioned else KEYS
    with session(address) as opened:
        for table in (TABLE, WARM_UP_TABLE):
            opened.run(f"ALTER TABLE {table} ADD PRIMARY KEY ({', '.join(keys)})")
            opened.run(f"CREATE INDEX ON {table} (l_partkey)")
            opened.run(f"CREATE INDEX ON {table} (l_shipdate, l_suppkey)")
    settle(address)


def wal(address: Server) -> float:
    """Return how many bytes of write-ahead log the server has written."""
    with session(address) as opened:
        [[written]] = opened.run("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8")
    return float(written)


def settle(address: Server) -> None:
    """Bring the rows to a steady state: a reader shall neither write hint bits nor wait for a checkpoint."""
    with session(address) as opened:
        for table in (TABLE, WARM_UP_TABLE):
            opened.run(f"VACUUM ANALYZE {table}")
        opened.run("CHECKPOINT")
    os.sync()


def check(address: Server, expected: Totals) -> None:
    """Check that the table contains the data, apart from rows that were put aside.

    Raises:
        BenchError: It does not.
    """
    rejects = f"{TABLE}_rejects"
    with session(address) as opened:
        rows = f"SELECT l_extendedprice, l_orderkey FROM {TABLE}"
        if opened.run("SELECT to_regclass(%s) IS NOT NULL", rejects) == [[True]]:
            rows += f" UNION ALL SELECT (row->>'l_extendedprice')::numeric, (row->>'l_orderkey')::bigint FROM {rejects}"
        [totals_of_table] = opened.run(f"SELECT count(*), sum(l_extendedprice), sum(l_orderkey) FROM ({rows}) AS rows")
    if Totals(*totals_of_table) != expected:
        raise BenchError(f"{TABLE} holds {Totals(*totals_of_table)}, and not {expected}")


def check_beside(address: Server, rows: Mapping[str, int]) -> None:
    """Check that the tables beside lineitem have so many rows.

    Raises:
        BenchError: They do not.
    """
    with session(address) as opened:
        found = {name: opened.value(f"SELECT count(*) FROM {name}") for name in rows}
    if found != rows:
        raise BenchError(f"The tables beside {TABLE} hold {found}, and not {dict(rows)}")


def version(address: Server) -> str:
    """Return the server's version."""
    with session(address) as opened:
        [[number]] = opened.run("SHOW server_version")
    return str(number)
