"""What a job and its tasks connect with: settings, and the name by which their sessions are known on the server."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.dbaccess.conninfo.settings import Server, Settings
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session


@dataclass(frozen=True)
class Connector:
    """Opens the sessions of one job, on the driver and in its tasks. Each one's application_name says what it is for.

    Attributes:
        job: "load", "extract", "compare", "query" or "pgcopy".
        subject: What the job works on: a load id, a table, a query.
    """

    settings: Settings
    job: str
    subject: str

    def open(self, task: str = "") -> Session:
        """Open a session for our own statements.

        Args:
            task: what the session is for, such as "part 3"; empty for the driver's main session.

        Raises:
            DatabaseError: as `connect`.
        """
        return connect_pinned(self.settings, self.label(task))

    def label(self, task: str = "") -> str:
        """Return the application_name of a session. The subject comes last, since PostgreSQL truncates long names."""
        return f"pgjobs {self.job} {f'{task} of ' if task else ''}{self.subject}"

    def at(self, server: Server) -> Connector:
        """Return the same for only one server, such as the one that holds a snapshot."""
        return replace(self, settings=self.settings.at(server))
