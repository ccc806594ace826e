"""What must hold of a write: the load is complete or not there at all, with all that belongs to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from chaos.data import contents, release, rows
from chaos.jobs.names import load_id
from chaos.jobs.place import Place
from chaos.judge import evidence, states
from chaos.judge.court import Court
from chaos.judge.difference import difference
from chaos.judge.verdict import Verdict
from chaos.plan.flows import BATCH_WRITES
from chaos.plan.ids import ONE_BAD_IN, ROWS
from chaos.plan.trial import Trial
from chaos.stage.database import Database


class OfWrites(Court):
    """Judges a job that writes a table.

    Args:
        loaded: The rows of its input.
    """

    def __init__(
        self, trial: Trial, database: Database, place: Place, verdict: Verdict, loaded: list[rows.Row]
    ) -> None:
        super().__init__(trial, database, place, verdict)
        self._loaded = loaded
        self._neighbour = False
        self._published = False

    def _judge_first(self, neighbour: bool) -> None:
        self._neighbour = neighbour
        if self.trial.flow not in BATCH_WRITES or self.trial.fault == "same table":
            return
        self._published = self.is_published()
        self._judge_belongings("after the first run", self._published, int(self._published))
        self._judge_table()

    def _judge_table(self) -> None:
        """Check that the table holds the whole load or nothing of it, by the load's marker."""
        valid = states.possible(self.trial, self._loaded, self._published, self._neighbour)
        self._compare_tables("after the first run", valid)

    def judge_last(self) -> None:
        """Judge the state after the rerun."""
        self._compare_tables("at the end", states.final(self.trial, self._loaded, self._published, self._neighbour))
        self._judge_belongings("at the end", published=True, times=2 if self.trial.fault == "same table" else 1)

    def _judge_belongings(self, what: str, published: bool, times: int) -> None:
        """Check what belongs to a load beside its rows.

        Args:
            what: When this is.
            published: Whether it was published.
            times: How often.
        """
        self._judge_scripts(what, times)
        self._judge_columns(what, published)
        self._judge_rejects(what, published)

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
        found = evidence.rejects(self.database, load_id(self.trial))
        if found != wanted:
            self.complain(f"{what}, {len(found)} rows are put aside ({found[:5]}...), not {len(wanted)}")

    def _compare_tables(self, what: str, expected: Sequence[states.State]) -> None:
        found = [evidence.table(self.database, name) for name in ("target", "target_old")]
        differences = ["; ".join(filter(None, map(difference, found, map(rows.as_json, state)))) for state in expected]
        if all(differences):
            self.complain(f"{what}: {differences[0]}")


class OfParts(OfWrites):
    """Judges a load of direct parts: until it is published, some of its parts may be there."""

    def _judge_table(self) -> None:
        if self._published:
            super()._judge_table()
        else:
            self._judge_some_parts()

    def _judge_some_parts(self) -> None:
        """Check that a load of direct parts that failed has left rows of its own at most once, and all others."""
        found = Counter(map(repr, evidence.table(self.database, "target")))
        before = Counter(map(repr, rows.as_json(contents.old(self.trial))))
        lost, strange = before - found, found - before - Counter(map(repr, rows.as_json(self._loaded)))
        if lost or strange:
            example = next(iter(lost or strange))[:100]
            self.complain(
                f"after the first run: {sum(lost.values())} lost, {sum(strange.values())} too many, such as {example}"
            )


class OfReleases(OfWrites):
    """Judges a release: the other tables belong to it, and have all of its rows or none."""

    def _judge_belongings(self, what: str, published: bool, times: int) -> None:
        super()._judge_belongings(what, published, times)
        self._judge_release(what, published)

    def _judge_release(self, what: str, published: bool) -> None:
        """Check that the other tables of a release have all of its rows or none, and that its marker names all."""
        identity, tables = load_id(self.trial), release.referencing(self.trial)
        for table in tables:
            found = evidence.rows_of(self.database, table)
            if self.trial.fault == "same table":  # the rows of both releases are the same, but for their names
                found = [[*row[:2], row[2].replace(f"{identity}/rival", identity), *row[3:]] for row in found]
            expected = release.after(self.trial, table, identity, published=published)
            self.compare(f"{table.name} ({table.mode}) {what}", found, [list(row) for row in expected])
        names = sorted(["shop.target", *(f"shop.{table.name}" for table in tables)])
        if published and evidence.recorded(self.database, identity) != names:
            self.complain(f"{what}, the marker names {evidence.recorded(self.database, identity)}, not {names}")
