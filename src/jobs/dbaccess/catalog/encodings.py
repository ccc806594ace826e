"""The encoding of the database, and which characters it lacks."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sqlstates import UNTRANSLATABLE

_HOLD_ALL = ("UTF8", "SQL_ASCII")
"""Encodings of a database that stores any UTF-8: as it is, or without a look at it."""


def lacks_some(session: Session) -> bool:
    """Return whether the database's encoding lacks characters of Unicode."""
    return session.value("SELECT getdatabaseencoding()::text") not in _HOLD_ALL


def lacking(session: Session, characters: str) -> str:
    """Return those of some characters that the database's encoding lacks. The server converts them.

    Args:
        session: A session without an open transaction: the server refuses to convert what it lacks.
        characters: The characters.
    """
    return "".join(_lacking(session, characters)) if characters and lacks_some(session) else ""


def _lacking(session: Session, some: str) -> Iterator[str]:
    """Yield those that are lacking, by halves: where most are not, a few statements suffice."""
    try:
        session.value(
            "SELECT octet_length(convert(decode(%s, 'hex'), 'UTF8', getdatabaseencoding()))", some.encode().hex()
        )
    except DatabaseError as error:
        if error.sqlstate != UNTRANSLATABLE:
            raise
    else:
        return
    if len(some) == 1:
        yield some
        return
    middle = len(some) // 2
    yield from _lacking(session, some[:middle])
    yield from _lacking(session, some[middle:])
