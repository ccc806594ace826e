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
    """Ask the server; the limits of role and database count, too."""
    [[allowed, used]] = session.run(
        """
        SELECT least(
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                - coalesce(current_setting('reserved_connections', true), '0')::int,
            (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
            (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
        ), (SELECT sum(numbackends)::int FROM pg_stat_database)
        """
    )
    return Capacity(allowed, max(0, allowed - used))
