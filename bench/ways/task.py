"""What a way's process is given: the server, the table, the data."""

from __future__ import annotations

from dataclasses import dataclass

from bench.machine.address import Server
from bench.tpch.names import BESIDE, CONNECTIONS, PARQUET, beside_table


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
