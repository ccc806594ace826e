"""All errors that a job reports, as one tree; and the one place where the driver's errors become them.

    JobError                        a message that says what happened, a hint that says what to do; `transient`
    +-- UsageError                  the job was given something that cannot be right   (exit status 2)
    +-- LoadError                   the load itself: parts that do not add up, an id that another table has
    |   +-- VerificationFailed      what the table would hold is not what Spark wrote
    |   +-- RowsMayDiffer           Spark computed parts anew, so that they need not fit together
    +-- ExtractError                the extract itself: a value that Spark cannot hold, a watermark of another server
    +-- AwsError                    AWS, or the way to it, did not give what was asked for
    |   +-- AwsUnavailable          it did not answer, or had no time
    |   +-- NotThere                there is nothing of this name
    +-- DatabaseError               what the server or the wire said; `sqlstate`, `column`
        +-- SnapshotLost            the snapshot is held no more
        +-- TransientError          not now: deadlock, shutting down, too many connections
        |   +-- ConnectionFailed    no connection, or it broke
        |       +-- ProtocolBroken  what answers does not speak the protocol: no use to try again
        |       +-- CommitUncertain the connection broke in COMMIT, before the answer
        +-- TlsFailed               no TLS, or not with a certificate that satisfies us
        +-- AuthenticationFailed    wrong password, unknown role, no pg_hba.conf entry
        +-- DataRejected            a value that the server does not take: `column` names where
        +-- ConstraintViolated      a row that a constraint does not allow

JobError and UsageError are defined in `jobs.errors`; the leaves that only one module raises, in that module.

No message shows a cell's value. PostgreSQL quotes values in the messages of class 22 and in every DETAIL, and the
CONTEXT of COPY holds the cell, so these are cut (see `_without_values`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pg8000.exceptions import DatabaseError as DriverDatabaseError
from pg8000.exceptions import InterfaceError as DriverInterfaceError
from scramp import ScramException

from jobs.errors import JobError, UsageError

__all__ = [  # JobError and UsageError are defined elsewhere, and exported by name
    "NOT_UTF8",
    "UNTRANSLATABLE",
    "AuthenticationFailed",
    "ConnectionFailed",
    "ConstraintViolated",
    "DataRejected",
    "DatabaseError",
    "ExtractError",
    "JobError",
    "LoadError",
    "ProtocolBroken",
    "TlsFailed",
    "TransientError",
    "UsageError",
    "broken_protocol",
    "driver_errors_translated",
    "from_server",
    "kind_of",
]


class LoadError(JobError):
    """A load cannot go on, and nothing of it reached the target table."""


class ExtractError(JobError):
    """An extract cannot go on, and what it wrote is not to be used."""


class DatabaseError(JobError):
    """What the server, or the way to it, answered.

    Attributes:
        sqlstate: the server's five-character code; empty when the server did not speak.
        column: the column that the server named, or None.
    """

    def __init__(self, message: str, hint: str = "", sqlstate: str = "", column: str | None = None) -> None:
        super().__init__(message, hint)
        self.args = (message, hint, sqlstate, column)
        self.sqlstate = sqlstate
        self.column = column


class TransientError(DatabaseError):
    """The server could not serve this now (deadlock, shutting down, too many connections)."""

    transient = True


class ConnectionFailed(TransientError):
    """There is no connection, or it broke."""


class ProtocolBroken(ConnectionFailed):
    """What answers says what PostgreSQL does not say there. Nothing of the connection is of use any more."""

    transient = False


class TlsFailed(DatabaseError):
    """The connection cannot be made as safe as was asked for."""


class AuthenticationFailed(DatabaseError):
    """The server does not let this user in."""


class DataRejected(DatabaseError):
    """The server does not take a value for a column's type."""


class ConstraintViolated(DatabaseError):
    """A row breaks a constraint of the table."""


# By SQLSTATE, the longest prefix wins. https://www.postgresql.org/docs/current/errcodes-appendix.html
_KINDS: Mapping[str, type[DatabaseError]] = {
    "08": ConnectionFailed,
    "08P01": DatabaseError,  # the server's answer to a statement with $1 of which nothing is bound
    "22": DataRejected,
    "23": ConstraintViolated,
    "28": AuthenticationFailed,
    "40": TransientError,  # serialization failure, deadlock
    "53": TransientError,  # out of connections, memory, disk
    "55P03": TransientError,  # lock_timeout
    "57P": TransientError,  # shutting down, crashed, starting up
    "57P04": DatabaseError,  # the database was dropped: no use to try again
}

NOT_UTF8 = "22021"
"""The SQLSTATE of text that holds NUL, or bytes that are no UTF-8. The server does not say in which column."""

UNTRANSLATABLE = "22P05"
"""The SQLSTATE of a character that the database's encoding lacks, and of NUL in JSON."""

_HINTS: Mapping[str, str] = {
    "22P05": "Leave the character out; if it is not NUL, a database whose encoding is UTF8 takes it.",
    "22021": "PostgreSQL's text holds no NUL character and no bytes that are not UTF-8: clean the column first.",
    "28000": "Check the user, and the server's pg_hba.conf.",
    "28P01": "Check the user and the password (PGPASSWORD).",
    "3D000": "Check the database's name.",
    "42501": "Grant the user what the message names, or load as a user that has it.",
    "53100": "Free or add disk space on the server.",
    "57014": "If statement_timeout ended it: give this user a longer one, ALTER ROLE .. SET statement_timeout.",
    "53300": "Lower --parallelism, or raise max_connections.",
}


def broken_protocol(how: str) -> ProtocolBroken:
    """The error for a server that does not keep to the protocol.

    Args:
        how: in words of ours, for what it says may be anything.
    """
    return ProtocolBroken(
        f"The server does not keep to PostgreSQL's protocol: {how}.",
        "Check host and port, that PostgreSQL is what listens there, and what stands between.",
    )


def kind_of(sqlstate: str) -> type[DatabaseError]:
    """The class for a SQLSTATE: the one of the longest prefix that is known."""
    for length in (5, 3, 2):
        if sqlstate[:length] in _KINDS:
            return _KINDS[sqlstate[:length]]
    return DatabaseError


def from_server(fields: Mapping[str, str]) -> DatabaseError:
    """Turn an ErrorResponse into the project's error, without the values it may quote.

    Args:
        fields: PostgreSQL's field codes (C sqlstate, M message, H hint, W context, c column, ...).
            https://www.postgresql.org/docs/current/protocol-error-fields.html
    """
    sqlstate = _one_line(fields.get("C", ""))[:_SQLSTATE_LENGTH]
    column = fields.get("c") or _copy_column(fields.get("W", ""))
    message = _without_values(fields.get("M", "the server gave no reason"), sqlstate)
    if column is not None and f'"{column}"' not in message:
        message = f'column "{column}": {message}'
    code = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    return kind_of(sqlstate)(f"{_one_line(message)}{code}.", _HINTS.get(sqlstate, ""), sqlstate, column)


def _copy_column(context: str) -> str | None:
    """The column in COPY's context line, `COPY t, line 3, column c: "<the cell>"`."""
    match = re.search(r"^COPY .*?, line \d+, column (.+?)(?:: |$)", context, re.MULTILINE)
    return match.group(1) if match else None


def _without_values(message: str, sqlstate: str) -> str:
    """Cut what a message of class 22 (data exception) quotes or, of 22021, lists in hex: the refused value."""
    if not sqlstate.startswith("22"):
        return message
    lacking = re.search(r'in encoding "\w+" has no equivalent in encoding "(\w+)"', message)
    if lacking:
        return f"it has a character that the database's encoding {lacking.group(1)} lacks"
    before, quote, rest = message.partition('"')
    if quote:  # a message that was cut may lack the second one
        before = before.rstrip()
        message = before[: -len(":")].rstrip() if before.endswith(":") else before
        message += rest.rpartition('"')[2] if '"' in rest else ""
    return message.partition(": 0x")[0]


_SQLSTATE_LENGTH = 5
_LONGEST_MESSAGE = 1000
"""Characters that are shown of what a server says."""


def _one_line(text: str) -> str:
    """A server's text, so that it is one line of a log, and commands no terminal."""
    if len(text) > _LONGEST_MESSAGE:
        text = text[:_LONGEST_MESSAGE] + "..."
    return "".join(letter if letter.isprintable() else " " for letter in text)


@contextmanager
def driver_errors_translated() -> Iterator[None]:
    """Raise the project's errors in place of pg8000's, here and nowhere else.

    The driver's own exception is not kept as the cause: it holds the server's whole answer, values included.
    """
    try:
        yield
    except DriverDatabaseError as error:
        raise from_server(_fields(error.args)) from None
    except ScramException as error:
        raise broken_protocol(f"it did not prove that it knows the password ({_one_line(str(error))})") from None
    except (DriverInterfaceError, OSError) as error:
        # pg8000 says goodbye after a login that failed, and that may fail, too: the failure is what matters.
        for earlier in _contexts(error):
            if isinstance(earlier, DriverDatabaseError):
                raise from_server(_fields(earlier.args)) from None
            if isinstance(earlier, JobError):
                raise earlier from None
        raise ConnectionFailed(f"The connection to the server broke: {_reason(error)}.") from None


def _contexts(error: BaseException) -> Iterator[BaseException]:
    """The errors that were being handled when an error was raised, the latest first."""
    while error.__context__ is not None:
        error = error.__context__
        yield error


def _fields(args: tuple[Any, ...]) -> Mapping[str, str]:
    """The fields of pg8000's DatabaseError, whose only argument is a dict of them (or, rarely, a text)."""
    if args and isinstance(args[0], Mapping):
        return args[0]
    return {"M": str(args[0]) if args else "unknown"}


def _reason(error: BaseException) -> str:
    """The innermost cause's own words: pg8000 says "network error" and keeps the reason as its cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).rstrip(".") or type(error).__name__
