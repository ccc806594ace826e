"""Dates and timestamps as numbers, against the server's own arithmetic in all years that it knows."""

from __future__ import annotations

from jobs.copyformat.text.iso_dates import days, microseconds
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect

PRIMES = (101_411, 5_003)
"""Strides in days, so that all days of years, of leap years and of centuries come by."""


def test_days_are_the_servers_own(server: Settings) -> None:
    with connect(server, "pgjobs tests") as session:
        found = session.run(
            "SELECT d::text, d - date '1970-01-01' FROM (SELECT date '4713-01-01 BC' + n AS d "
            f"FROM generate_series(0, 2145000000, {PRIMES[0]}) n) s"
        )
    assert len(found) > 20_000
    assert [days(text) for text, _ in found] == [number for _, number in found]


def test_microseconds_are_the_servers_own(server: Settings) -> None:
    with connect(server, "pgjobs tests") as session:
        found = session.run(
            "SELECT t::text, extract(epoch FROM t)::numeric * 1000000 FROM (SELECT timestamp '4713-01-01 BC' + "
            f"n * interval '1 day 00:00:00.054321' AS t FROM generate_series(0, 109000000, {PRIMES[1]}) n) s"
        )
    assert len(found) > 20_000
    assert [microseconds(text) for text, _ in found] == [number for _, number in found]
