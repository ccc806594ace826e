"""The table in docs/versions.md: parsing rows, and writing rows."""

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
    """The counts of a run.

    Attributes:
        failed: Failures and errors.
    """

    passed: int
    failed: int
    skipped: int
    seconds: float


@dataclass(frozen=True)
class Row:
    """The last result of a trial.

    Attributes:
        versions: The full versions of PostgreSQL, PySpark and Python that were run.
        date: When it ended, as 2026-11-21.
        commit: The commit of the code; ends in "+" if the work tree differed from it.
    """

    tests: str
    versions: tuple[str, str, str]
    counts: Counts
    date: str
    commit: str

    def is_of(self, trial: Trial) -> bool:
        """Return whether it is a result of this trial, with any minor releases."""
        wanted = (trial.postgres, trial.spark, trial.python)
        return self.tests == trial.tests and all(
            f"{version}.".startswith(f"{series}.") for version, series in zip(self.versions, wanted)
        )

    def settles(self, trial: Trial, commit: str) -> bool:
        """Return whether the trial need not be run again on a commit.

        A failed trial is run again, since it may have failed by chance. So is one of a modified work tree, which has no
        name.
        """
        clean = not commit.endswith("+")
        return clean and self.is_of(trial) and self.commit == commit and not self.counts.failed

    def line(self) -> str:
        """Return the row in Markdown."""
        counts = self.counts
        minutes = f"{counts.seconds / 60:.1f}"
        cells = [self.tests, *self.versions, counts.passed, counts.failed, counts.skipped, minutes, self.date]
        return f"| {' | '.join(map(str, cells))} | {self.commit} |\n"


def read(page: str) -> list[Row]:
    """Return the rows of a page's table."""
    return [_row(line) for line in _lines(page)]


def with_row(page: str, fresh: Row, trials: Sequence[Trial]) -> str:
    """Return the page with a result in place of the trial's last one.

    Args:
        page: The page with the table's markers.
        fresh: The result.
        trials: All trials, in the table's order. Rows of other trials are removed.

    Raises:
        ValueError: The page lacks the markers.
    """
    rows = read(page)
    kept = [_latest(trial, [*rows, fresh]) for trial in trials]
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{HEADER}{''.join(row.line() for row in kept if row)}{END}{after}"


def _latest(trial: Trial, rows: Iterable[Row]) -> Row | None:
    results = [row for row in rows if row.is_of(trial)]
    return results[-1] if results else None


def _lines(page: str) -> list[str]:
    match = re.search(f"{re.escape(BEGIN)}(.*?){re.escape(END)}", page, re.DOTALL)
    if match is None:
        raise ValueError(f"the page lacks the lines {BEGIN.strip()} and {END.strip()}")
    return match[1].removeprefix(HEADER).splitlines()


def _row(line: str) -> Row:
    cells = [cell.strip() for cell in line.strip("|\n ").split("|")]
    tests, postgres, spark, python, passed, failed, skipped, minutes, date, commit = cells
    counts = Counts(int(passed), int(failed), int(skipped), float(minutes) * 60)
    return Row(tests, (postgres, spark, python), counts, date, commit)
