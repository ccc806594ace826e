"""The root of the error tree. It is below `dbaccess` and `aws`, which do not import each other.

`jobs.dbaccess.errors` shows the whole tree.
"""

from __future__ import annotations


class JobError(Exception):
    """An error with a readable message (what happened) and a `hint` (what to do).

    `transient` is true if the same attempt may succeed later without any change.
    """

    transient = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(JobError):
    """Flags, settings or data are wrong. Nothing was done."""
