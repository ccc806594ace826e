"""The root of all errors that a job tells a person of. It lies below dbaccess and aws, which do not see each other."""

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
    """What the job was told cannot be right; nothing was done."""
