"""The errors: DatabaseException for the data directory and the programs, WorkerError for the server process."""

from __future__ import annotations


class DatabaseException(Exception):
    """The data directory or PostgreSQL's programs cannot be used.

    Args:
        exception: The cause: a text, or the exception that reported it.
        args: Further values. They follow the first in `args`.
        kwargs: Further named values, available as `kwargs`.
    """

    def __init__(self, exception: object, *args: object, **kwargs: object) -> None:
        super().__init__(exception, *args)
        self.exception = exception
        self.kwargs = kwargs

    def __str__(self) -> str:
        return str(self.exception)


class WorkerError(Exception):
    """The server process does not exist, did not start, or does not answer."""
