"""What a way's process is given: the server, the table, the data. And the names that all of the benchmark shares."""

from __future__ import annotations

from dataclasses import dataclass

TABLE = "lineitem"
WARM_UP_TABLE = "warm_up"
KEPT_TABLE = "kept"
"""The rows on the server, from which the table is filled before it is loaded or read."""
KEYS = ("l_orderkey", "l_linenumber")
BESIDE = ("customer", "orders")
"""Tables of TPC-H that are loaded before lineitem where three are."""
PARQUET = f"{TABLE}.parquet"
TEXTS = ("part-0.txt", "part-1.txt")  # one for each of psql's connections
CONNECTIONS = len(TEXTS)  # of psql and the peers: as many as Spark has cores
JDBC_BATCH = 10_000  # rows; with more, JDBC got no faster and used more memory. The same applies to its reads.


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
        folder: The folder of the data: PARQUET and, for psql, TEXTS.
        psql: The path of the program.
        connections: How many connections copy at once.
        arrow: Only for reads by pgjobs: whether to decode by PyArrow, otherwise in pure Python.
        flags: Only for loads by pgjobs: more flags of load_table.py.
    """

    server: Server
    table: str
    folder: str
    psql: str
    connections: int = CONNECTIONS
    arrow: bool = False
    flags: tuple[str, ...] = ()

    @property
    def parquet(self) -> str:
        """Return the path of the rows as a Parquet file."""
        return f"{self.folder}/{PARQUET}"

    @property
    def three(self) -> dict[str, str]:
        """Return the tables beside lineitem, and it, each with the path of its rows. The warm-up has its own."""
        beside = {beside_table(self.table, name): f"{self.folder}/{name}.parquet" for name in BESIDE}
        return {**beside, self.table: self.parquet}


def beside_table(table: str, name: str) -> str:
    """Return the table beside lineitem, or beside that of the warm-up."""
    return name if table == TABLE else f"{table}_{name}"
