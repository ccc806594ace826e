"""What must hold after a trial's runs, whatever broke."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.data import batches as follow
from chaos.data import release, rows
from chaos.jobs.request import BEFORE, Place, load_id
from chaos.judge import evidence as judge
from chaos.judge import states
from chaos.plan.draw import ONE_BAD_IN, ROWS, Trial
from chaos.plan.flows import (
    BATCH_WRITES,
    CAPTURE,
    COPY_ROWS,
    FOLLOW,
    LOADS,
    NEWER,
    ONE_PART,
    PARTS,
    QUERY,
    READS,
    RELEASE,
    WRITES,
)
from chaos.stage.server import LOADER, Database
from chaos.stage.spark.drivers import Driver, Outcome


@dataclass
class Verdict:
    """The result of a trial.

    Attributes:
        first: How the disturbed job ended.
        struck: The statement on the wire when the fault struck; None if it never did.
        complaints: What was wrong.
        phases: How its time was spent.
    """

    trial: Trial
    first: Outcome = field(default_factory=lambda: Outcome(None))
    struck: str | None = None
    complaints: list[str] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    seconds: float = 0.0


class Court:
    """Judges one trial: after its disturbed run, and after the rerun.

    Args:
        loaded: The rows of its input.
    """

    def __init__(
        self, trial: Trial, database: Database, place: Place, verdict: Verdict, loaded: list[rows.Row]
    ) -> None:
        self.trial = trial
        self.database = database
        self.place = place
        self.verdict = verdict
        self.loaded = loaded
        self.before = [] if trial.flow in WRITES else judge.source(database)
        self.neighbour = False
        self.published = False
        self.reached = 0

    def complain(self, complaint: str) -> None:
        """Record what is wrong."""
        self.verdict.complaints.append(complaint)

    def judge_first(self, neighbour: bool) -> None:
        """Judge the state after the disturbed run.

        Args:
            neighbour: Whether another session's change of the table was committed.
        """
        self.neighbour = neighbour
        outcome = self.verdict.first
        self._judge_ending(outcome)
        if self.trial.flow in BATCH_WRITES and self.trial.fault != "same table":
            self._judge_load(outcome)
        elif self.trial.flow == FOLLOW:
            self.judge_followed("after the first run", least=follow.READ)
        elif self.trial.flow == QUERY:
            self._judge_query(outcome)
        elif self.trial.flow in READS and outcome.status == 0:
            self._compare("the extract", judge.lake(self.place.lake), self.before, judge.source(self.database))

    def _judge_ending(self, outcome: Outcome) -> None:
        fault, flow = self.trial.fault, self.trial.flow
        if outcome.status not in (0, None):
            errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
            if len(errors) != 1 or "Traceback" in outcome.err:
                self.complain(f"the error is not one line: {outcome.err[-500:]!r}")
            if passes(flow, fault):
                self.complain(f"it need not have failed: {outcome.last_line}")
        if outcome.status is None and fault != "kill driver":
            self.complain("the driver died")
        if fault == "pooler shares" and (outcome.status == 0 or "transaction mode" not in outcome.err):
            self.complain(f"a pooler in transaction mode was not refused: {outcome.last_line}")

    def _judge_query(self, outcome: Outcome) -> None:
        """Check that the rows are in the table or were taken, and written if the run says so."""
        done = judge.marker(self.database, load_id(self.trial))
        taken, left = self._divided()
        self._compare("the table after the first run", judge.source(self.database), left if done else self.before)
        if outcome.status == 0:
            self._compare("what the query wrote", judge.lake(self.place.lake), taken)

    def _divided(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Return the rows that a query takes from the table, and those that it leaves."""
        return [row for row in self.before if row[0] % 2 == 0], [row for row in self.before if row[0] % 2]

    def _judge_scripts(self, what: str, times: int) -> None:
        found = self.database.run("SELECT script FROM shop.log ORDER BY 1").split() if self.trial.scripts else []
        if self.trial.scripts and found != ["after"] * times + ["before"] * times:
            self.complain(f"{what}, the scripts were run: {found}, not {times} times")

    def _judge_columns(self, what: str, published: bool) -> None:
        """Check that the columns of a load's own are there and filled exactly if it was published."""
        if not self.trial.defined:
            return
        wanted = (["loaded", "number"] if self.trial.target == "new" else ["loaded"]) if published else []
        found = self.database.run(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('shop.target') AND attnum > 0 "
            "AND attname IN ('loaded', 'number') ORDER BY 1"
        ).split()
        if found != wanted:
            self.complain(f"{what}, the table has the columns {found}, not {wanted}")
            return
        for column in found:
            if self.database.run(f"SELECT 1 FROM shop.target WHERE {column} IS NULL LIMIT 1").strip():
                self.complain(f"{what}, the column {column} is not filled")

    def _judge_rejects(self, what: str, published: bool) -> None:
        """Check that the bad rows of a load were put aside, once each, exactly if it was published."""
        if not self.trial.rejects:
            return
        wanted = [str(row) for row in range(0, ROWS, ONE_BAD_IN)] if published else []
        found = judge.rejects(self.database, load_id(self.trial))
        if found != wanted:
            self.complain(f"{what}, {len(found)} rows are put aside ({found[:5]}...), not {len(wanted)}")

    def _judge_release(self, what: str, published: bool) -> None:
        """Check that the other tables of a release have all of its rows or none, and that its marker names all."""
        if self.trial.flow != RELEASE:
            return
        identity, tables = load_id(self.trial), release.referencing(self.trial)
        for table in tables:
            found = release.rows_of(self.database, table)
            if self.trial.fault == "same table":  # the rows of both releases are the same, but for their names
                found = [[*row[:2], row[2].replace(f"{identity}/rival", identity), *row[3:]] for row in found]
            expected = release.after(self.trial, table, identity, published=published)
            self._compare(f"{table.name} ({table.mode}) {what}", found, [list(row) for row in expected])
        names = sorted(["shop.target", *(f"shop.{table.name}" for table in tables)])
        if published and release.recorded(self.database, identity) != names:
            self.complain(f"{what}, the marker names {release.recorded(self.database, identity)}, not {names}")

    def _judge_load(self, outcome: Outcome) -> None:
        self.published = judge.marker(self.database, load_id(self.trial))
        if outcome.status == 0 and not self.published:
            self.complain("it said that it loaded, and there is no marker")
        # Without an answer to COMMIT, a program of one's own cannot know; its next run is told by the marker.
        if outcome.status not in (0, None) and self.published and self.trial.flow != COPY_ROWS:
            self.complain(f"it loaded, and said: {outcome.last_line}")
        self._judge_scripts("after the first run", int(self.published))
        self._judge_columns("after the first run", self.published)
        self._judge_rejects("after the first run", self.published)
        self._judge_release("after the first run", self.published)
        if self.trial.flow == PARTS and not self.published:
            self._judge_some_parts()
            return
        if self.trial.flow == FOLLOW:
            self._judge_first_step()
            return
        self._compare_tables(
            "after the first run", states.possible(self.trial, self.loaded, self.published, self.neighbour)
        )

    def _judge_some_parts(self) -> None:
        """Check that a load of direct parts that failed has left rows of its own at most once, and all others."""
        found = Counter(map(repr, judge.table(self.database, "target")))
        before = Counter(map(repr, rows.as_json(rows.old(self.trial))))
        lost, strange = before - found, found - before - Counter(map(repr, rows.as_json(self.loaded)))
        if lost or strange:
            example = next(iter(lost or strange))[:100]
            self.complain(
                f"after the first run: {sum(lost.values())} lost, {sum(strange.values())} too many, such as {example}"
            )

    def judge_last(self) -> None:
        """Judge the state after the rerun."""
        if self.trial.flow == FOLLOW:
            self._judge_second_step()
        elif self.trial.flow in WRITES:
            self._compare_tables("at the end", states.final(self.trial, self.loaded, self.published, self.neighbour))
            self._judge_scripts("at the end", 2 if self.trial.fault == "same table" else 1)
            self._judge_columns("at the end", published=True)
            self._judge_rejects("at the end", published=True)
            self._judge_release("at the end", published=True)
        elif self.trial.flow == QUERY:
            taken, left = self._divided()
            self._compare("what the query wrote, at the end", judge.lake(self.place.lake), taken)
            self._compare("what the query left in the table", judge.source(self.database), left)
        elif self.trial.flow == CAPTURE:
            self.judge_copy("the copy")
        elif self.trial.flow in NEWER:
            self.judge_lake("the lake")
        else:
            self._compare("at the end", judge.lake(self.place.lake), judge.source(self.database))

    def _judge_first_step(self) -> None:
        """Check that the load has taken the whole step to a batch that was complete, with its marker, or none."""
        identity = load_id(self.trial)
        if self.published:
            self.reached = self.judge_followed("after the first run", identity, follow.READ)
        else:
            self.judge_followed("after the first run", identity + BEFORE if self.trial.primed else "", 0)

    def _judge_second_step(self) -> None:
        """Check that a rerun has read what is new if the load was not published, and has done nothing otherwise."""
        if self.trial.fault == "same table":  # each of the two may have taken the last step
            self.judge_followed("at the end", least=follow.READ)
            return
        reached = self.judge_followed("at the end", load_id(self.trial), self.reached if self.published else None)
        if self.published and reached != self.reached:
            self.complain("a rerun of what was loaded has read changes")

    def judge_followed(self, what: str, by: str | None = None, least: int | None = None) -> int:
        """Check that a table that follows a capture is what its position says, and who stored that.

        Args:
            what: When this is.
            by: The load that stored the position; empty for none, None for any.
            least: The batch that was read at least; None for the newest one.

        Returns:
            The position.
        """
        seen = follow.look(self.database)
        for complaint in follow.contradictions(seen, self.place.source, by, least):
            self.complain(f"{what}: {complaint}")
        return seen.batch

    def change_source(self) -> None:
        """Change some rows of a table that is read."""
        self.database.run(f"SET ROLE {LOADER}; UPDATE shop.target SET version = 3, text = 'new' WHERE id % 5 = 0")
        if self.trial.deletes:
            self.database.run(f"SET ROLE {LOADER}; DELETE FROM shop.target WHERE id % 11 = 4")

    def judge_copy(self, what: str) -> None:
        """Check that a copy equals its table."""
        self._compare(what, judge.source(self.database, "copy"), judge.source(self.database))

    def judge_lake(self, what: str) -> None:
        """Check that the newest versions equal the table, and that no version occurs twice."""
        if self.trial.deletes:
            told = judge.told(self.place.lake)
            self._compare(what, judge.folded(told), judge.source(self.database))
            self.verdict.complaints.extend(f"{what}: {complaint}" for complaint in judge.contradictions(told))
            return
        rows_of_lake = judge.lake(self.place.lake)
        self._compare(what, judge.newest(rows_of_lake), judge.source(self.database))
        twice = sum(count > 1 for count in Counter(rows_of_lake).values())
        if twice:
            self.complain(f"{what} has {twice} row versions twice")

    def judge_leftovers(self, driver: Driver, ended: Sequence[Driver]) -> None:
        """Check for tables, sessions, locks, files and processes that should not exist any more.

        Args:
            driver: An idle driver.
            ended: Drivers that were killed.
        """
        lake = self.place.lake
        files = [path.name for path in lake.rglob("_temporary*")] if lake.exists() else []
        self.verdict.complaints.extend(f"left: file {name}" for name in files)
        self.verdict.complaints.extend(f"left: {left}" for left in judge.left_in(self.database, ended))
        if not driver.runs:
            self.complain("the driver died when all was over")

    def _compare(self, what: str, found: list[Any], *expected: list[Any]) -> None:
        differences = [judge.difference(found, one) for one in expected]
        if all(differences):
            self.complain(f"{what}: {differences[0]}")

    def _compare_tables(self, what: str, expected: Sequence[states.State]) -> None:
        found = [judge.table(self.database, name) for name in ("target", "target_old")]
        differences = [
            "; ".join(filter(None, map(judge.difference, found, map(rows.as_json, state)))) for state in expected
        ]
        if all(differences):
            self.complain(f"{what}: {differences[0]}")


_PASSES_FOR_ALL = (
    "stall",
    "slow down",
    "pooler between",
    "hostile role",
    "lock target",
    "kill task",
    "kill executor",
    "lose shuffle",
    "fail upstream",
    "slow twin",
    "write meanwhile",
    "attach partition",
    "truncate and reload",
    "clock jumps",
)


def passes(flow: str, fault: str) -> bool:
    """Return whether a job must survive a fault: it is shorter than the job's timeouts, or Spark retries.

    For pgcopy, Spark plans in Python workers of the driver, which it does not retry.
    """
    return fault in _PASSES_FOR_ALL or (
        fault == "kill worker" and flow in (*LOADS, ONE_PART, PARTS, RELEASE, FOLLOW, "extract", "incremental", QUERY)
    )
