"""All errors that a job reports, as one tree; and the one place where the driver's errors are converted to them.

    JobError                        a message (what happened), a hint (what to do), and `transient`
    +-- UsageError                  flags, settings or data are wrong   (exit status 2)
    |   +-- NotForeseen             what a load would do depends on the rows, so there is no plan of it
    |   +-- TransactionPooling      a pooler gives each transaction another session
    +-- LoadError                   the load itself: parts do not add up, an id belongs to another table
    |   +-- AlreadyRecorded         another run has published the load meanwhile
    |   +-- CopyEnded               a part of a copied table is not read further, because another one failed
    |   +-- PartFailed              a part cannot be copied, so retrying it is no use
    |   +-- TooManyRejects          more rows are refused than the user allows
    |   +-- VerificationFailed      the table would not hold what Spark wrote
    |   +-- Unsettled               it is unknown whether a run that failed has loaded rows
    |   +-- RowsMayDiffer           Spark recomputed data under copied parts, so the parts may not fit together
    +-- ExtractError                the extract itself: a value that Spark cannot hold, a watermark of another server
    +-- AwsError                    AWS refused a request, or could not be reached
    |   +-- AwsUnavailable          AWS did not answer, or is overloaded
    |   +-- NotThere                there is nothing of this name
    +-- DatabaseError               the server or the connection failed; `sqlstate`, `column`
        +-- SnapshotLost            the snapshot is no longer held
        +-- TransientError          a temporary failure: deadlock, shutdown, too many connections
        |   +-- ConnectionFailed    there is no connection, or it broke
        |   |   +-- ProtocolBroken  the answers violate the protocol: retrying is no use
        |   |   +-- CommitUncertain the connection broke during COMMIT, before the answer
        |   +-- ScriptInterrupted   a statement before or after a load's rows was ended; the message names it
        |   +-- QueryInterrupted    the connection broke while SQL was run; the message says what was done
        +-- TlsFailed               there is no TLS, or the certificate is not acceptable
        +-- AuthenticationFailed    wrong password, unknown role, no pg_hba.conf entry
        +-- DataRejected            a value that the server does not accept: `column` is its column
        +-- ConstraintViolated      a row that violates a constraint
        +-- UndefinedTable          there is no table of this name (42P01)
        +-- DuplicateTable          there is a table of this name already (42P07)

JobError and UsageError are defined in `jobs.errors`; an error that only one module raises, in that module.

`except pg8000.DatabaseError` catches each DatabaseError, too, because it derives from a class of PEP 249 as well:
TransientError, AuthenticationFailed and TlsFailed from OperationalError, DataRejected from DataError,
ConstraintViolated from IntegrityError, UndefinedTable and DuplicateTable from ProgrammingError; ConnectionFailed and
TlsFailed also from InterfaceError, which pg8000 raises.

No message shows a value of a row. PostgreSQL quotes values in the messages of class 22 and in every DETAIL, and the
CONTEXT of COPY contains the value, so these are cut (see `_without_values`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from scramp import ScramException

from jobs.dbaccess import pep249, sqlstates
from jobs.errors import JobError, UsageError, plural

__all__ = [  # JobError, UsageError and plural are defined elsewhere, and exported by name
    "AuthenticationFailed",
    "ConnectionFailed",
    "ConstraintViolated",
    "DataRejected",
    "DatabaseError",
    "DuplicateTable",
    "ExtractError",
    "JobError",
    "LoadError",
    "ProtocolBroken",
    "TlsFailed",
    "TransientError",
    "UndefinedTable",
    "UsageError",
    "broken_protocol",
    "driver_errors_translated",
    "from_server",
    "kind_of",
    "plural",
]


class LoadError(JobError):
    """A load cannot go on, and nothing of it reached the target table."""


class ExtractError(JobError):
    """An extract cannot go on, and what it wrote is not to be used."""


class DatabaseError(JobError, pep249.DatabaseError):
    """What the server, or the way to it, answered.

    Attributes:
        sqlstate: the server's five-character code; empty when the server did not speak.
        column: the column that the server named, or None.
        line: the line of COPY's input in which the server found the error, from 1; None if it named none.
    """

    def __init__(
        self, message: str, hint: str = "", sqlstate: str = "", column: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(message, hint)
        self.args = (message, hint, sqlstate, column, line)
        self.sqlstate = sqlstate
        self.column = column
        self.line = line


class TransientError(DatabaseError, pep249.OperationalError):
    """The server cannot serve this now (deadlock, shutdown, too many connections)."""

    transient = True


class ConnectionFailed(TransientError, pep249.InterfaceError):
    """There is no connection, or it broke."""


class ProtocolBroken(ConnectionFailed):
    """The answer violates PostgreSQL's protocol. The connection can no longer be used."""

    transient = False


class TlsFailed(DatabaseError, pep249.OperationalError, pep249.InterfaceError):
    """The connection cannot be made as secure as requested."""


class AuthenticationFailed(DatabaseError, pep249.OperationalError):
    """The server does not accept the login.

    Attributes:
        wants_password: Whether it has asked for a password. If not, no password is the cause.
    """

    wants_password = False


class DataRejected(DatabaseError, pep249.DataError):
    """The server does not accept a value for a column's type."""


class ConstraintViolated(DatabaseError, pep249.IntegrityError):
    """A row violates a constraint of the table."""


class UndefinedTable(DatabaseError, pep249.ProgrammingError):
    """There is no table, view or other relation of this name, in the schema given or on search_path."""


class DuplicateTable(DatabaseError, pep249.ProgrammingError):
    """There is a table, view, index or other relation of this name already."""


# By SQLSTATE; the longest prefix counts.
_KINDS: Mapping[str, type[DatabaseError]] = {
    "08": ConnectionFailed,
    "08P01": DatabaseError,  # the server's answer to a statement with $1 and no bound value
    "22": DataRejected,
    "23": ConstraintViolated,
    "28": AuthenticationFailed,
    "40": TransientError,  # serialization failure, deadlock
    sqlstates.UNDEFINED_TABLE: UndefinedTable,
    "42P07": DuplicateTable,
    "53": TransientError,  # out of connections, memory, disk
    sqlstates.LOCK_TIMEOUT: TransientError,
    "57P": TransientError,  # shutting down, crashed, starting up
    "57P04": DatabaseError,  # the database was dropped: retrying is no use
}


def broken_protocol(how: str) -> ProtocolBroken:
    """Return the error for a server that violates the protocol.

    Args:
        how: Our own description, since the server's text may be anything.
    """
    return ProtocolBroken(
        f"The server violates PostgreSQL's protocol: {how}.",
        "Check host and port, that PostgreSQL listens there, and any proxy in between.",
    )


def kind_of(sqlstate: str) -> type[DatabaseError]:
    """Return the class for a SQLSTATE: that of the longest known prefix."""
    for length in (5, 3, 2):
        if sqlstate[:length] in _KINDS:
            return _KINDS[sqlstate[:length]]
    return DatabaseError


def from_server(fields: Mapping[str, str]) -> DatabaseError:
    """Convert an ErrorResponse to an error of this project, without the values that it may quote.

    Args:
        fields: PostgreSQL's field codes (C sqlstate, M message, H hint, W context, c column, ...).
            https://www.postgresql.org/docs/current/protocol-error-fields.html
    """
    sqlstate = _one_line(fields.get("C", ""))[:_SQLSTATE_LENGTH]
    line, copied_column = _copy_place(fields.get("W", ""))
    column = fields.get("c") or copied_column
    message = fields.get("M", "the server gave no reason")
    is_of_value = sqlstate in (sqlstates.SYNTAX_ERROR, sqlstates.INTERNAL_ERROR) and copied_column is not None
    if sqlstate.startswith("22") or is_of_value:
        message = _without_values(message)
    if column is not None and f'"{column}"' not in message:
        message = f'column "{column}": {message}'
    code = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    return kind_of(sqlstate)(f"{_one_line(message)}{code}.", sqlstates.HINTS.get(sqlstate, ""), sqlstate, column, line)


_COPY_PLACE = re.compile(r"^COPY .*?, \w+ (\d+)(?:, \w+ (.+?))?(?:\s?: |$)", re.MULTILINE)


def _copy_place(context: str) -> tuple[int | None, str | None]:
    """Return line and column in COPY's context line, `COPY t, line 3, column c: "<the value>"`, in most languages."""
    match = _COPY_PLACE.search(context)
    return (int(match.group(1)), match.group(2)) if match else (None, None)


def _without_values(message: str) -> str:
    """Cut the rejected value: class 22 (data exception) quotes it, 22021 lists it in hex, 42601 quotes a tsquery."""
    lacking = re.search(r'in encoding "\w+" has no equivalent in encoding "(\w+)"', message)
    if lacking:
        return f"it has a character that the database's encoding {lacking.group(1)} lacks"
    quotes = [quote.start() for quote in _QUOTES.finditer(message)]
    if quotes:  # a truncated message may lack the second quote
        before = message[: quotes[0]].rstrip()
        rest = message[quotes[-1] + 1 :] if len(quotes) > 1 else ""
        message = (before[: -len(":")].rstrip() if before.endswith(":") else before) + rest
    return message.partition(": 0x")[0]


_QUOTES = re.compile('["\u00ab\u00bb\u201c\u201d\u201e]')
"""How the server quotes a value, depending on its language (lc_messages)."""

_SQLSTATE_LENGTH = 5
_LONGEST_MESSAGE = 1000
"""The maximum number of characters of a server's text to show."""


def _one_line(text: str) -> str:
    """Return a server's text as one line of a log, without terminal control sequences."""
    if len(text) > _LONGEST_MESSAGE:
        text = text[:_LONGEST_MESSAGE] + "..."
    return "".join(letter if letter.isprintable() else " " for letter in text)


@contextmanager
def driver_errors_translated(
    broken: tuple[type[Exception], ...] = (pep249.InterfaceError, OSError),
) -> Iterator[None]:
    """Raise this project's errors in place of pg8000's, here and nowhere else.

    The driver's exception is not kept as the cause, because it contains the server's whole answer, including values.

    Args:
        broken: The errors that mean a broken connection.
    """
    handled = sys.exc_info()[1]  # an error of the caller's, which has nothing to do with the block
    try:
        yield
    except JobError:  # one of our own, which is pg8000's, too
        raise
    except pep249.DatabaseError as error:
        raise from_server(_fields(error.args)) from None
    except ScramException as error:
        raise broken_protocol(f"it did not prove that it knows the password ({_one_line(str(error))})") from None
    except broken as error:
        # After a failed login, pg8000 sends a goodbye, which may fail, too. The first failure is what matters.
        for earlier in _contexts(error, handled):
            if isinstance(earlier, JobError):
                raise earlier from None
            if isinstance(earlier, pep249.DatabaseError):
                raise from_server(_fields(earlier.args)) from None
        raise ConnectionFailed(f"The connection to the server broke: {_reason(error)}.") from None


def _contexts(error: BaseException, last: BaseException | None) -> Iterator[BaseException]:
    """Yield the errors that were being handled when an error was raised, the latest first, up to `last`."""
    while error.__context__ is not None and error.__context__ is not last:
        error = error.__context__
        yield error


def _fields(args: tuple[Any, ...]) -> Mapping[str, str]:
    """Return the fields of pg8000's DatabaseError, whose only argument is a dict of them (or, rarely, a text)."""
    if args and isinstance(args[0], Mapping):
        return args[0]
    return {"M": str(args[0]) if args else "unknown"}


def _reason(error: BaseException) -> str:
    """Return the text of the innermost cause: pg8000 reports "network error" and keeps the reason as its cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).rstrip(".") or type(error).__name__
