"""What can go wrong: DatabaseException with data directory and programs, WorkerError with the process."""

from __future__ import annotations


class DatabaseException(Exception):
    """The data directory or PostgreSQL's programs cannot be used.

    Args:
        exception: What went wrong: a text, or the exception which told it.
        args: Further values, kept in `args` behind the first.
        kwargs: Further named values, kept in `kwargs`.
    """

    def __init__(self, exception: object, *args: object, **kwargs: object) -> None:
        super().__init__(exception, *args)
        self.exception = exception
        self.kwargs = kwargs

    def __str__(self) -> str:
        return str(self.exception)


class WorkerError(Exception):
    """The server process is missing, did not come up, or does not answer."""
