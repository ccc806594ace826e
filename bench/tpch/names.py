"""The names of tables and files, and what else all of the benchmark shares."""

from __future__ import annotations

TABLE = "lineitem"
WARM_UP_TABLE = "warm_up"
KEPT_TABLE = "kept"
"""The rows on the server, from which the table is filled before it is loaded or read."""
KEYS = ("l_orderkey", "l_linenumber")
BESIDE = ("customer", "orders")
"""Tables of TPC-H that are loaded before lineitem where three are."""
WIDE, TINY, THREE = "wide", "tiny", "three"
"""Folders of other data, beside lineitem."""
PARQUET = f"{TABLE}.parquet"
TEXTS = ("part-0.txt", "part-1.txt")  # one for each of psql's connections
CONNECTIONS = len(TEXTS)  # of psql and the peers: as many as Spark has cores


def beside_table(table: str, name: str) -> str:
    """Return the table beside lineitem, or beside that of the warm-up."""
    return name if table == TABLE else f"{table}_{name}"
