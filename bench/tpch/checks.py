"""Checks after a load: whether the tables contain the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.machine.address import Server
from bench.machine.database import session
from bench.tpch.files import Totals
from bench.tpch.names import TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping


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
