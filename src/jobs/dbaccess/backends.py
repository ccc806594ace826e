"""The server's process of a session, ended from elsewhere."""

from __future__ import annotations

from jobs.dbaccess.session import Backend, Session

PATIENCE = 10_000
"""Milliseconds to wait for the end of a process that was told to end: it finishes a COMMIT that has begun."""


def end(session: Session, former: Backend) -> None:
    """End the process of a session whose connection broke, and wait for its end, if it is still there.

    The server may notice only after minutes that nobody is at the other end, and the process keeps its locks till then.
    """
    session.run(
        "SELECT pg_catalog.pg_terminate_backend(pid, %s) FROM pg_catalog.pg_stat_get_activity(%s::integer) WHERE "
        "(EXTRACT(epoch FROM backend_start)::pg_catalog.text OPERATOR(pg_catalog.=) %s::pg_catalog.text) "
        "AND (application_name OPERATOR(pg_catalog.=) %s::pg_catalog.text)",
        PATIENCE,
        former.pid,
        former.started,
        former.label,
    )
