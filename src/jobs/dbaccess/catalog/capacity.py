"""How many connections a load may use: what the server has free, and what is left to others."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.session import Session

MOST = 16
"""More connections than this rarely copy faster, for they wait for the same disk and log."""


@dataclass(frozen=True)
class Capacity:
    """What the server allows.

    Attributes:
        allowed: connections of ordinary users, at most.
        free: how many of them nobody uses now.
    """

    allowed: int
    free: int

    def share(self) -> int:
        """The connections that a load takes by itself: half of what is free, so that others go on."""
        return max(1, min(MOST, self.free // 2))


def capacity(session: Session) -> Capacity:
    """Ask the server; the limits of role and database count, too, each beside the connections that it is about."""
    [[allowed, used, *limits]] = session.run(_CAPACITY)
    tightest = min([(allowed - used, allowed), *_limited(*limits)])
    return Capacity(tightest[1], max(0, tightest[0]))


_CAPACITY = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int,
    (SELECT sum(numbackends)::int FROM pg_stat_database),
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user),
    (SELECT count(*)::int FROM pg_stat_activity WHERE usename = session_user AND backend_type = 'client backend'),
    (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
    (SELECT numbackends FROM pg_stat_database WHERE datname = current_database())
"""


def _limited(of_role: int, by_role: int, of_database: int, in_database: int) -> list[tuple[int, int]]:
    """What is free and what is allowed, for each limit that there is (-1 stands for none)."""
    limits = [(of_role, by_role), (of_database, in_database)]
    return [(limit - used, limit) for limit, used in limits if limit >= 0]
