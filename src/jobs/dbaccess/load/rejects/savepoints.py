"""Copies that may fail, each in a savepoint: what one that fails has copied is undone, and the transaction goes on."""

from __future__ import annotations

from jobs.dbaccess.network.copy_in import Block
from jobs.dbaccess.session import Session

_SAVEPOINT = "SAVEPOINT pgjobs_block"


class Savepoints:
    """The savepoints of a transaction, of which one is open at most.

    A savepoint is ended and begun in the message of the next COPY, so it costs no round trip.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._before: list[str] = []

    def copy(self, statement: str, lines: Block, *along: str) -> int:
        """Copy lines in a savepoint, and return the number of rows that the server reports.

        Args:
            statement: The COPY.
            lines: The lines.
            along: Statements of our own that belong to the savepoint.

        Raises:
            DatabaseError: None of the lines is copied. The next COPY, or `close`, goes back to the savepoint.
        """
        before = self._before or [_SAVEPOINT]
        self._before = [f"ROLLBACK TO {_SAVEPOINT}"]
        copied = self._session.copy_in(statement, [lines], [*before, *along])
        self._before = [f"RELEASE {_SAVEPOINT}", _SAVEPOINT]
        return copied

    def close(self) -> None:
        """End the last savepoint."""
        if not self._before:
            return
        if self._before[0].startswith("ROLLBACK"):
            self._session.run(self._before[0])
        self._session.run(f"RELEASE {_SAVEPOINT}")
        self._before = []
