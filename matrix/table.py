"""The table in docs/versions.md: rows out of it, and rows into it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matrix.plan import Trial

HEADER = (
    "| tests | PostgreSQL | PySpark | Python | passed | failed | skipped | minutes | date | commit |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)
BEGIN = "<!-- make matrix: begin -->\n"
END = "<!-- make matrix: end -->\n"


@dataclass(frozen=True)
class Counts:
    """What came out of a run.

    Attributes:
        failed: failures and errors.
    """

    passed: int
    failed: int
    skipped: int
    seconds: float


@dataclass(frozen=True)
class Row:
    """A trial's last result.

    Attributes:
        versions: of PostgreSQL, PySpark and Python, to their last number: what was really run.
        date: when it ended, as 2026-11-21.
        commit: of the code that was tried; ends in "+" where the work tree differed from it.
    """

    tests: str
    versions: tuple[str, str, str]
    counts: Counts
    date: str
    commit: str

    def is_of(self, trial: Trial) -> bool:
        """Whether it is this trial's result, of whatever minor releases."""
        wanted = (trial.postgres, trial.spark, trial.python)
        return self.tests == trial.tests and all(
            f"{version}.".startswith(f"{series}.") for version, series in zip(self.versions, wanted)
        )

    def settles(self, trial: Trial, commit: str) -> bool:
        """Whether the trial need not be run again on a commit.

        One that failed is, for it may have failed by chance; so is one of a work tree, which nobody can name.
        """
        clean = not commit.endswith("+")
        return clean and self.is_of(trial) and self.commit == commit and not self.counts.failed

    def line(self) -> str:
        """The row in markdown."""
        counts = self.counts
        minutes = f"{counts.seconds / 60:.1f}"
        cells = [self.tests, *self.versions, counts.passed, counts.failed, counts.skipped, minutes, self.date]
        return f"| {' | '.join(map(str, cells))} | {self.commit} |\n"


def read(page: str) -> list[Row]:
    """The rows of a page's table."""
    return [_row(line) for line in _lines(page)]


def with_row(page: str, fresh: Row, trials: Sequence[Trial]) -> str:
    """The page with a result put in the place of the same trial's last one.

    Args:
        page: the page with the table's markers.
        fresh: the result.
        trials: all that there are, in the table's order; rows of no trial fall away.

    Raises:
        ValueError: the page lacks the markers.
    """
    rows = read(page)
    kept = [_latest(trial, [*rows, fresh]) for trial in trials]
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{HEADER}{''.join(row.line() for row in kept if row)}{END}{after}"


def _latest(trial: Trial, rows: Iterable[Row]) -> Row | None:
    found = [row for row in rows if row.is_of(trial)]
    return found[-1] if found else None


def _lines(page: str) -> list[str]:
    found = re.search(f"{re.escape(BEGIN)}(.*?){re.escape(END)}", page, re.DOTALL)
    if found is None:
        raise ValueError(f"the page lacks the lines {BEGIN.strip()} and {END.strip()}")
    return found[1].removeprefix(HEADER).splitlines()


def _row(line: str) -> Row:
    cells = [cell.strip() for cell in line.strip("|\n ").split("|")]
    tests, postgres, spark, python, passed, failed, skipped, minutes, date, commit = cells
    counts = Counts(int(passed), int(failed), int(skipped), float(minutes) * 60)
    return Row(tests, (postgres, spark, python), counts, date, commit)
