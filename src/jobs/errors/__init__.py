"""The root of the error tree, and how messages count. It is below `dbaccess` and `aws`, which do not import each other.

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


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return a count with its noun: "1 part", "2 parts".

    Args:
        count: The count.
        noun: The noun; with a verb, if one follows: "row was".
        nouns: Its plural, unless that is the noun with an s: "rows were".
    """
    return f"{count:,} " + (noun if count == 1 else nouns or f"{noun}s")
