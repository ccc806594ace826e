"""Why a job failed: one line for a person, and the same in fields for a program."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.dbaccess.errors import DatabaseError, JobError, UsageError

OK, FAILED, WRONG_USAGE = 0, 1, 2
"""Exit statuses."""

INTERRUPTED = "interrupted. Run it again to complete it, or to confirm that it is done."

_INTERRUPTED = "Interrupted"


@dataclass(frozen=True)
class Failure:
    """Why a job failed.

    Attributes:
        type: The class of the error.
        message: What happened, as the job prints it.
        hint: What to do; empty where only the message is known.
        sqlstate: The server's code; empty if the server did not refuse.
        column: The column that the server named, or None.
        transient: Whether the same attempt may succeed later without any change.
        status: The exit status.
        is_ours: Whether the message is one of ours, which shows neither passwords nor values of rows. One of Spark's
            may quote a value.
    """

    type: str
    message: str
    hint: str = ""
    sqlstate: str = ""
    column: str | None = None
    transient: bool = False
    status: int = FAILED
    is_ours: bool = True

    @property
    def line(self) -> str:
        """The message and the hint."""
        return f"{self.message} {self.hint}".strip()

    @property
    def is_interruption(self) -> bool:
        """Whether somebody ended the job by Ctrl-C or SIGTERM."""
        return self.type == _INTERRUPTED

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return what an error says."""
        # Ctrl-C also ends the JVM, and PySpark then fails to call it.
        if not isinstance(error, JobError) and any(isinstance(cause, KeyboardInterrupt) for cause in chain(error)):
            return cls(_INTERRUPTED, INTERRUPTED, transient=True)
        name = type(error).__name__
        if isinstance(error, DatabaseError):
            return cls(name, error.message, error.hint, error.sqlstate, error.column, error.transient)
        if isinstance(error, JobError):
            status = WRONG_USAGE if isinstance(error, UsageError) else FAILED
            return cls(name, error.message, error.hint, transient=error.transient, status=status)
        status = WRONG_USAGE if _is_wrong_usage_of_spark(error) else FAILED
        message = first_line(error)
        hint = hint_about(message)
        return cls(name, f"{message.rstrip('.')}." if hint else message, hint, status=status, is_ours=False)


_HINTS = (
    (
        r'No FileSystem for scheme "?s3|S3AFileSystem not found',
        "This Spark cannot reach S3. Add Hadoop's support for it (docs/load.md: Starting a job), or run it on EMR.",
    ),
    (r"^\[PATH_NOT_FOUND\]", "Check the path. A relative one is looked up in the folder in which the job runs."),
    (r"^\[PATH_ALREADY_EXISTS\]", "Give another path. An extract replaces its target with --write-mode overwrite."),
)
"""What messages of Spark and Hadoop do not say: a pattern, and what to do."""


def hint_about(message: str) -> str:
    """Return what to do about a message of Spark or Hadoop; empty if the message says all that is known."""
    return next((hint for pattern, hint in _HINTS if re.search(pattern, message)), "")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and the errors that caused it."""
    while error is not None:
        yield error
        error = error.__context__


def _is_wrong_usage_of_spark(error: BaseException) -> bool:
    """Return whether a path, a column or a query is wrong. A job without Spark does not import it for that."""
    spark = sys.modules.get("pyspark.errors")
    return spark is not None and isinstance(error, (spark.AnalysisException, spark.ParseException))


def first_line(error: BaseException) -> str:
    """Return the first line of an error: for the JVM, its innermost cause's; for a worker, that of its own error."""
    cause = getattr(error, "java_exception", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    message = str(error if cause is None else cause.toString())
    if _TRACEBACK in message:
        frames_and_error = message.rpartition(_TRACEBACK)[2].lstrip("\n").splitlines()
        own = next((line for line in frames_and_error if not line.startswith(" ")), "")
        message = re.sub(r"^jobs\.[\w.]+: ", "", own)  # our own errors are sentences, and need no class
    return (message.strip() or type(error).__name__).splitlines()[0]


_TRACEBACK = "Traceback (most recent call last):"
