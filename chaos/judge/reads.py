"""What must hold of jobs that read a table: the rows that they write are those of the table, at one moment."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chaos.jobs.names import load_id
from chaos.jobs.place import Place
from chaos.judge import evidence, lake
from chaos.judge.court import Court
from chaos.judge.verdict import Verdict
from chaos.plan.trial import Trial
from chaos.stage.database import Database

_AFTER_AN_UPDATE = "what there is after an update"


class OfExtracts(Court):
    """Judges a job that writes a table's rows to files. A court is made before the job, and remembers them."""

    def __init__(self, trial: Trial, database: Database, place: Place, verdict: Verdict) -> None:
        super().__init__(trial, database, place, verdict)
        self._before = evidence.source(database)

    def _judge_first(self, neighbour: bool) -> None:  # noqa: ARG002 - the rows tell
        if self.verdict.first.status == 0:
            self.compare("the extract", lake.rows(self.place.lake), self._before, evidence.source(self.database))

    def judge_last(self) -> None:
        """Judge the state after the rerun."""
        self.compare("at the end", lake.rows(self.place.lake), evidence.source(self.database))


class OfQueries(OfExtracts):
    """Judges a query that deletes rows and writes them to files."""

    def _judge_first(self, neighbour: bool) -> None:  # noqa: ARG002 - nobody else changes its table
        """Check that the rows are in the table or were taken, and written if the run says so."""
        done = evidence.marker(self.database, load_id(self.trial))
        taken, left = self._divided()
        self.compare("the table after the first run", evidence.source(self.database), left if done else self._before)
        if self.verdict.first.status == 0:
            self.compare("what the query wrote", lake.rows(self.place.lake), taken)

    def judge_last(self) -> None:
        """Judge the state after the rerun."""
        taken, left = self._divided()
        self.compare("what the query wrote, at the end", lake.rows(self.place.lake), taken)
        self.compare("what the query left in the table", evidence.source(self.database), left)

    def _divided(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Return the rows that a query takes from the table, and those that it leaves."""
        return [row for row in self._before if row[0] % 2 == 0], [row for row in self._before if row[0] % 2]


class OfCopies(Court):
    """Judges a copy of a table that captured changes bring up to date."""

    def _judge_first(self, neighbour: bool) -> None:
        """Expect nothing: the copy may be behind until a run ends well."""

    def judge_last(self) -> None:
        """Check that the copy equals its table."""
        self._judge_copy("the copy")

    def judge_next(self) -> None:
        """Check that the copy equals its table, which was changed."""
        self._judge_copy(_AFTER_AN_UPDATE)

    def _judge_copy(self, what: str) -> None:
        self.compare(what, evidence.source(self.database, "copy"), evidence.source(self.database))


class OfNews(Court):
    """Judges a job that reads what is new since its last run."""

    def _judge_first(self, neighbour: bool) -> None:
        """Expect nothing: what the run did not read, the next one reads."""

    def judge_last(self) -> None:
        """Check what all runs have written."""
        self._judge_lake("the lake")

    def judge_next(self) -> None:
        """Check what all runs have written, after the table was changed."""
        self._judge_lake(_AFTER_AN_UPDATE)

    def _judge_lake(self, what: str) -> None:
        """Check that the newest versions equal the table, and that no version occurs twice."""
        if self.trial.deletes:
            told = lake.told(self.place.lake)
            self.compare(what, lake.folded(told), evidence.source(self.database))
            self.complain(*(f"{what}: {complaint}" for complaint in lake.contradictions(told)))
            return
        found = lake.rows(self.place.lake)
        self.compare(what, lake.newest(found), evidence.source(self.database))
        twice = sum(count > 1 for count in Counter(found).values())
        if twice:
            self.complain(f"{what} has {twice} row versions twice")
