"""The root of the error tree. It lies below `dbaccess` and `aws`, which do not import each other.

`jobs.dbaccess.errors` shows the whole tree.
"""

from __future__ import annotations


class JobError(Exception):
    """An error with a message for a person: what happened, and (`hint`) what to do about it.

    `transient` tells whether the same attempt may succeed later with nothing changed.
    """

    transient = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(JobError):
    """The job was given something that cannot be right. Nothing was done."""
