"""Identity columns that the data has: their values are the data's, or the server numbers the rows all the same.

An INSERT refuses a value for a column that is GENERATED ALWAYS AS IDENTITY, unless it says OVERRIDING SYSTEM VALUE.
COPY always writes the value. Neither moves the column's sequence.
https://www.postgresql.org/docs/current/sql-insert.html
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.dbaccess.errors import UsageError

FLAG = "--overriding"
"""The flag, as messages name it."""

SYSTEM, USER = OVERRIDING = ("system", "user")
"""Whose values do not count: those of the server, or those of the data."""

_INSERTING = ("append", "overwrite", "upsert", "ignore")


def clause(overriding: str) -> str:
    """Return what precedes the query of an INSERT."""
    return "OVERRIDING SYSTEM VALUE " if overriding == SYSTEM else ""


def check_argument(overriding: str, mode: str) -> None:
    """Check that the mode inserts rows.

    Raises:
        UsageError: It does not, or the argument is unknown.
    """
    if overriding not in ("", *OVERRIDING):
        raise UsageError(f"{overriding!r} is not one of {', '.join(OVERRIDING)}.")
    if overriding and mode not in _INSERTING:
        raise UsageError(
            f"The mode {mode} does not have {FLAG}.", f"Leave it out, or give one of {', '.join(_INSERTING)}."
        )


def check_updates(overriding: str, always: Sequence[str], updated: Sequence[str]) -> None:
    """Check that an upsert, or an overwrite by difference, updates no column that is GENERATED ALWAYS AS IDENTITY.

    Args:
        overriding: Whose values do not count.
        always: Such columns that the data has.
        updated: The columns that are updated.

    Raises:
        UsageError: It updates some, which the server refuses.
    """
    wrong = [name for name in always if name in updated]
    if overriding == SYSTEM and wrong:
        raise UsageError(
            f"{', '.join(map(repr, wrong))} is GENERATED ALWAYS AS IDENTITY, which can be inserted, and not updated.",
            f"Make it one of --keys, name others by --update-columns, or give {FLAG} {USER}.",
        )
