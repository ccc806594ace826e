"""Terminate the server process of another session."""

from __future__ import annotations

from jobs.dbaccess.session import Backend, Session

TERMINATION_TIMEOUT = 10_000
"""Milliseconds to wait for a process to end that was terminated: it finishes a COMMIT that has begun."""


def end(session: Session, former: Backend) -> None:
    """Terminate the process of a session whose connection broke, and wait for its end, if it still exists.

    The server may take minutes to notice that a connection broke, and the process keeps its locks until then.
    """
    session.run(
        "SELECT pg_catalog.pg_terminate_backend(pid, %s) FROM pg_catalog.pg_stat_get_activity(%s::integer) WHERE "
        "(EXTRACT(epoch FROM backend_start)::pg_catalog.text OPERATOR(pg_catalog.=) %s::pg_catalog.text) "
        "AND (application_name OPERATOR(pg_catalog.=) %s::pg_catalog.text)",
        TERMINATION_TIMEOUT,
        former.pid,
        former.started,
        former.label,
    )
