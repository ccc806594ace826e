"""The tables on the server, before a load or a read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.machine.address import Server
from bench.machine.database import session
from bench.tpch.files import SAMPLE_ROWS, wide_names
from bench.tpch.names import BESIDE, KEPT_TABLE, KEYS, TABLE, THREE, WARM_UP_TABLE, WIDE, beside_table

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def settle(address: Server) -> None:
    """Bring the rows to a steady state: a reader shall neither write hint bits nor wait for a checkpoint."""
    with session(address) as opened:
        for table in (TABLE, WARM_UP_TABLE):
            opened.run(f"VACUUM ANALYZE {table}")
        opened.run("CHECKPOINT")
    os.sync()
