"""How many connections a load may use: which are free on the server, and which remain for others."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.session import Session

MOST = 16
"""More connections rarely copy faster, because they wait for the same disk and WAL."""


@dataclass(frozen=True)
class Capacity:
    """The server's connections.

    Attributes:
        allowed: The maximum for ordinary users.
        free: How many of them are currently unused.
    """

    allowed: int
    free: int

    def share(self) -> int:
        """Return the default number of connections of a load: half of the free ones, so that others can connect."""
        return max(1, min(MOST, self.free // 2))


def capacity(session: Session) -> Capacity:
    """Read the capacity from the server. Limits of the role and the database count, each for its own connections."""
    [allowed, used, *limits] = session.row(6, _CAPACITY)
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
    """Return the free and the allowed connections for each limit that is set (-1 means no limit)."""
    limits = [(of_role, by_role), (of_database, in_database)]
    return [(limit - used, limit) for limit, used in limits if limit >= 0]
