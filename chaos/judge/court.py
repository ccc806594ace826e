"""What all courts do: they judge a trial after its disturbed run, after the rerun, and after what came next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from chaos.jobs.names import load_id
from chaos.jobs.place import Place
from chaos.judge import endings, evidence
from chaos.judge.difference import difference
from chaos.judge.leftovers import left_in
from chaos.judge.verdict import Verdict
from chaos.plan.flows import COPY_ROWS
from chaos.plan.trial import Trial
from chaos.stage.database import Database
from chaos.stage.spark.drivers import Driver


class Court(ABC):
    """Judges one trial. What must hold depends on the job, and so on the court.

    Args:
        trial: The trial.
        database: Its database.
        place: Where its job works.
        verdict: What gets the complaints.
    """

    def __init__(self, trial: Trial, database: Database, place: Place, verdict: Verdict) -> None:
        self.trial = trial
        self.database = database
        self.place = place
        self.verdict = verdict

    def judge_first(self, neighbour: bool) -> None:
        """Judge the state after the disturbed run.

        Args:
            neighbour: Whether another session's change of the table was committed.
        """
        self.complain(*endings.contradictions(self.trial, self.verdict.first))
        self._judge_first(neighbour)

    @abstractmethod
    def _judge_first(self, neighbour: bool) -> None: ...

    @abstractmethod
    def judge_last(self) -> None:
        """Judge the state after the rerun."""

    def judge_next(self) -> None:
        """Judge the state after one more run, which had something new to do. Only some jobs have one."""
        raise NotImplementedError(self.trial.flow)

    def judge_leftovers(self, driver: Driver, ended: Sequence[Driver]) -> None:
        """Check for tables, sessions, locks, files and processes that should not exist any more.

        Args:
            driver: An idle driver.
            ended: Drivers that were killed.
        """
        lake = self.place.lake
        files = [path.name for path in lake.rglob("_temporary*")] if lake.exists() else []
        self.complain(*(f"left: file {name}" for name in files))
        self.complain(*(f"left: {left}" for left in left_in(self.database, ended)))
        if not driver.runs:
            self.complain("the driver died when all was over")

    def complain(self, *complaints: str) -> None:
        """Record what is wrong."""
        self.verdict.complaints.extend(complaints)

    def compare(self, what: str, found: list[Any], *expected: list[Any]) -> None:
        """Complain about rows that are none of those that are valid.

        Args:
            what: Which rows these are, and when.
            found: The rows.
            expected: What they may be.
        """
        differences = [difference(found, one) for one in expected]
        if all(differences):
            self.complain(f"{what}: {differences[0]}")

    def is_published(self) -> bool:
        """Return whether the disturbed load has a marker, and complain if it said something else."""
        published = evidence.marker(self.database, load_id(self.trial))
        outcome = self.verdict.first
        if outcome.status == 0 and not published:
            self.complain("it said that it loaded, and there is no marker")
        # Without an answer to COMMIT, a program of one's own cannot know; its next run is told by the marker.
        if outcome.status not in (0, None) and published and self.trial.flow != COPY_ROWS:
            self.complain(f"it loaded, and said: {outcome.last_line}")
        return published
