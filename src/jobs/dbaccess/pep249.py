"""pg8000's classes of errors, those of PEP 249, with types, which pg8000 lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:

    class Error(Exception):
        """Any error of the driver."""

    class InterfaceError(Error):
        """The connection, or its wrong use."""

    class DatabaseError(Error):
        """An answer of the server."""

    class DataError(DatabaseError):
        """A value cannot be processed."""

    class OperationalError(DatabaseError):
        """The server cannot serve, through no fault of the program."""

    class IntegrityError(DatabaseError):
        """A constraint is violated."""

    class ProgrammingError(DatabaseError):
        """The program is wrong: it names an unknown table, say."""

else:
    from pg8000.dbapi import (
        DatabaseError,
        DataError,
        Error,
        IntegrityError,
        InterfaceError,
        OperationalError,
        ProgrammingError,
    )

__all__ = [
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "OperationalError",
    "ProgrammingError",
]
