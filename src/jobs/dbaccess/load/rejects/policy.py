"""What a load does about rows that the server refuses, and how many it bears."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.errors import LoadError, UsageError, plural
from jobs.dbaccess.load.copying.direct import PARTS
from jobs.dbaccess.load.move.modes import Move

FAIL, QUARANTINE = ON_ERROR = ("fail", "quarantine")

ERROR, STRIP, REPLACE = ON_NUL = ("error", "strip", "replace")
"""What is done about characters that the server cannot store: they fail their row, or are removed or replaced."""


class TooManyRejects(LoadError):
    """More rows were rejected than the user allows. Nothing was published."""


@dataclass(frozen=True)
class Policy:
    """What to do about rows that the server refuses.

    Attributes:
        on_error: One of ON_ERROR.
        max_errors: The most rows that may be rejected; None for no limit.
        max_error_rate: The largest share of all rows that may be rejected, 0 to 1; None for no limit.
    """

    on_error: str = FAIL
    max_errors: int | None = None
    max_error_rate: float | None = None

    @property
    def quarantines(self) -> bool:
        """Whether such rows are put aside."""
        return self.on_error == QUARANTINE

    def check(self) -> None:
        """Check the values.

        Raises:
            UsageError: They do not fit together.
        """
        if self.on_error not in ON_ERROR:
            raise UsageError(f"{self.on_error!r} is not one of {', '.join(ON_ERROR)}.")
        if not self.quarantines and (self.max_errors is not None or self.max_error_rate is not None):
            raise UsageError(
                "--max-errors and --max-error-rate limit what --on-error quarantine puts aside.",
                "Give --on-error quarantine, or leave them out.",
            )
        if self.max_errors is not None and self.max_errors < 0:
            raise UsageError(f"--max-errors is {self.max_errors}.", "Give a number of rows, from 0.")
        if self.max_error_rate is not None and not 0 <= self.max_error_rate <= 1:
            raise UsageError(f"--max-error-rate is {self.max_error_rate:g}.", "Give a share from 0 to 1.")

    def check_count(self, rejected: int, summary: str = "") -> None:
        """Check the number of rejected rows, of a part or of the load, which may have more.

        Raises:
            TooManyRejects: It is above the limit.
        """
        if self.max_errors is not None and rejected > self.max_errors:
            raise TooManyRejects(
                f"At least {plural(rejected, 'row was', 'rows were')} rejected, and --max-errors allows "
                f"{self.max_errors:,}{summary}.",
                "Nothing was loaded. Correct the data, or allow more.",
            )

    def check_rate(self, rejected: int, read: int, summary: str = "") -> None:
        """Check the number of rejected rows of the whole load.

        Raises:
            TooManyRejects: It is above a limit.
        """
        self.check_count(rejected, summary)
        if self.max_error_rate is not None and rejected and rejected / read > self.max_error_rate:
            raise TooManyRejects(
                f"{rejected:,} of {read:,} rows were rejected, and --max-error-rate allows "
                f"{self.max_error_rate:g}{summary}.",
                "Nothing was loaded. Correct the data, or allow more.",
            )


FAILS = Policy()
"""What a load does if nothing else is said."""


def check_policy(policy: Policy, move: Move, publish: str, *, keeps: bool = False) -> None:
    """Check that a load can put bad rows aside.

    Args:
        policy: What to do about them.
        move: The mode.
        publish: How the rows are to come into the table, one of PUBLISHING.
        keeps: Whether staging is kept if the load fails.

    Raises:
        UsageError: It cannot. The message says why.
    """
    policy.check()
    if not policy.quarantines:
        return
    if publish == PARTS:
        raise UsageError(
            "--publish parts puts no rows aside: each part is in the table before the number of bad rows is known.",
            "Leave out --publish parts, or --on-error quarantine.",
        )
    if keeps:
        raise UsageError("--keep-staging keeps no rows that are put aside.", "Leave it out, or --on-error quarantine.")
    if move.changes.flags or move.keeps_history:
        what = ", ".join(move.changes.flags) or f"The mode {move.mode}"
        raise UsageError(
            f"{what} needs all rows of the data: without one that is put aside, another change of its key would count, "
            "or its key would be missing.",
            "Leave it out, or --on-error quarantine.",
        )
    if move.replaces_partitions:
        raise UsageError(
            f"The mode {move.mode} puts no rows aside: a partition without them would replace one that had them.",
            "Use --mode overwrite with --overwrite-where, or leave out --on-error quarantine.",
        )


def check_nul(on_nul: str) -> None:
    """Check what is to be done about characters that the server cannot store.

    Raises:
        UsageError: It is none of ON_NUL.
    """
    if on_nul not in ON_NUL:
        raise UsageError(f"--nul {on_nul!r} is none of {', '.join(ON_NUL)}.", "Give one of these.")
