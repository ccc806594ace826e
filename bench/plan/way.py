"""A way to load the table, or to read it."""

from __future__ import annotations

from dataclasses import dataclass

from bench.tpch.names import CONNECTIONS


@dataclass(frozen=True)
class Way:
    """A way to load the table, or to read it.

    Attributes:
        label: Its name in the report.
        module: The module in bench.ways that implements it.
        flags: Only for loads by pgjobs: flags of load_table.py beside those of source, table and connection.
        makes_table: Whether the load creates the table; otherwise it exists and is empty.
        arrow: Only for reads by pgjobs: whether to decode by PyArrow, otherwise in pure Python.
        reads: Whether it reads the table, which was filled before.
        indexed: Whether the table has a primary key and two more indexes.
        partitioned: Whether the table is partitioned by years.
        lacks_partitions: Whether it has no partitions yet, so that the load creates them.
        changed: The share of the table's rows that differ from the data before the load. None for an empty table.
        data: One of the folders of bench.tpch.files: "" for lineitem, or WIDE, TINY, or THREE.
        loads: How often the data is loaded.
        copies: Whether it copies the rows that the server keeps, in place of files.
        throttled: Whether each process of the server that serves the client gets a tenth of a core.
        connections: How many connections copy at once, which is the number of Spark's cores.
    """

    label: str
    module: str
    flags: tuple[str, ...] = ()
    spark: bool = True
    makes_table: bool = False
    arrow: bool = False
    reads: bool = False
    indexed: bool = False
    partitioned: bool = False
    lacks_partitions: bool = False
    changed: float | None = None
    data: str = ""
    loads: int = 1
    copies: bool = False
    throttled: bool = False
    connections: int = CONNECTIONS

    @property
    def needs_jar(self) -> bool:
        """Whether Spark needs the JDBC driver."""
        return self.module.startswith("peers.jdbc")
