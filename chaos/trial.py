"""One trial, from its data to its verdict."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from chaos import faults, judge, rows, tables
from chaos.drivers import Driver, Outcome
from chaos.errors import ChaosError
from chaos.jobs import Place, ask, load_id
from chaos.plan import WRITES, Trial
from chaos.server import LOADER, Database, PostgresUnderTrial
from chaos.wire import Ambush, Wire

CLUSTER = "local-cluster[2,1,640]"
RIVAL = "local[1]"

BOUND = 120.0
"""Seconds in which every job must end, whatever broke."""

RERUNS = 2
"""How often a job may fail once nothing is broken any more: one may still meet what the fault left running."""


@dataclass
class Verdict:
    """What came of a trial.

    Attributes:
        first: how the disturbed job ended.
        struck: what was said on the wire when the fault struck; None where it never did.
        complaints: what was wrong.
    """

    trial: Trial
    first: Outcome = field(default_factory=lambda: Outcome(None))
    struck: str | None = None
    complaints: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Stage:
    """What trials share: a server, the way to it, and Spark drivers.

    Args:
        server: it runs.
        wire: the way.
        port: the wire's.
        folder: for everything that is written.
    """

    def __init__(self, server: PostgresUnderTrial, wire: Wire, port: int, folder: Path) -> None:
        self.server = server
        self.wire = wire
        self.port = port
        self.folder = folder
        self._drivers: dict[str, Driver] = {}

    def driver(self, master: str) -> Driver:
        """A driver that runs; a new one where the last was killed."""
        known = self._drivers.get(master)
        if known is not None and known.runs:
            return known
        if known is not None:
            known.close()
        self._drivers[master] = Driver(master, self.folder)
        return self._drivers[master]

    def give_up(self, master: str) -> None:
        """End a driver whose job does not end."""
        self._drivers.pop(master).close()

    def close(self) -> None:
        """End the drivers."""
        for driver in self._drivers.values():
            driver.close()
        self._drivers.clear()


def run(trial: Trial, stage: Stage) -> Verdict:
    """Do it all, and say what was wrong."""
    verdict = Verdict(trial)
    start = time.monotonic()
    folder = stage.folder / f"trial-{trial.seed}"
    with stage.server.database(f"chaos_{trial.seed}") as database, _removed(folder):
        place = Place(stage.port, database.name, folder)
        try:
            _Run(trial, stage, database, place, verdict).whole()
        except ChaosError as error:
            verdict.complaints.append(str(error))
        finally:
            stage.wire.reset()
            stage.wire.hang_up()
    verdict.seconds = time.monotonic() - start
    return verdict


@contextlib.contextmanager
def _removed(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Run:
    def __init__(self, trial: Trial, stage: Stage, database: Database, place: Place, verdict: Verdict) -> None:
        self.trial = trial
        self.stage = stage
        self.database = database
        self.place = place
        self.verdict = verdict
        self.rows = rows.loaded(trial) if trial.flow in WRITES else []

    def whole(self) -> None:
        tables.make(self.trial, self.database)
        self._make_files()
        self._disturbed()
        self._heal()
        self._judge_first()
        self._again_until_done()
        self._judge_last()

    def _make_files(self) -> None:
        if self.trial.flow in WRITES:
            rows.write(self.place.source, self.rows)
        else:
            self.place.folder.mkdir(parents=True)

    # The job, disturbed and not.

    def _disturbed(self) -> None:
        driver = self.stage.driver(CLUSTER)
        scene = faults.Scene(
            self.trial,
            self.stage.server,
            self.database,
            driver,
            random.Random(self.trial.seed),  # noqa: S311 - no secret
        )
        spring = faults.springing(scene)
        ambush = None if spring is None else Ambush(self.trial.moment, spring)
        self.stage.wire.reset(ambush)
        rival = self._start_rival()
        self.verdict.first = self._run(CLUSTER, ask(self.trial, self.place))
        if rival is not None:
            rival.await_outcome(BOUND)
        self.verdict.struck = ambush.sprung if ambush is not None else "throughout"
        self.stage.wire.reset()
        scene.settle()

    def _start_rival(self) -> Driver | None:
        if self.trial.fault not in ("same id", "same table"):
            return None
        rival = self.stage.driver(RIVAL)
        rival.ask(ask(self.trial, self.place, identity=self._rivals_id()))
        return rival

    def _rivals_id(self) -> str:
        return load_id(self.trial) + ("" if self.trial.fault == "same id" else "/rival")

    def _run(self, master: str, job: Mapping[str, Any]) -> Outcome:
        driver = self.stage.driver(master)
        driver.ask(job)
        try:
            return driver.await_outcome(BOUND)
        except ChaosError:
            self.stage.give_up(master)
            raise

    def _heal(self) -> None:
        self.stage.wire.hang_up()
        self.stage.server.await_restart()
        admin = Database(self.database.server, "postgres", self.database.psql)
        admin.run(f"ALTER ROLE {LOADER} RESET ALL", f"ALTER ROLE {LOADER} CONNECTION LIMIT -1")

    def _again_until_done(self) -> None:
        for _ in range(RERUNS):
            outcome = self._run(CLUSTER, ask(self.trial, self.place))
            if outcome.status == 0:
                break
        else:
            self._complain(f"a rerun failed: {_last_line(outcome.err)}")
        if self.trial.fault == "same table":
            outcome = self._run(RIVAL, ask(self.trial, self.place, identity=self._rivals_id()))
            if outcome.status != 0:
                self._complain(f"the rival's rerun failed: {_last_line(outcome.err)}")

    # What must hold.

    def _complain(self, complaint: str) -> None:
        self.verdict.complaints.append(complaint)

    def _compare(self, what: str, found: list[Any], *expected: list[Any]) -> None:
        told = [judge.difference(found, one) for one in expected]
        if all(told):
            self._complain(f"{what}: {told[0]}")

    def _judge_first(self) -> None:
        outcome = self.verdict.first
        if outcome.status not in (0, None):
            errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
            if len(errors) != 1 or "Traceback" in outcome.err:
                self._complain(f"the error is not one line: {outcome.err[-500:]!r}")
        if self.trial.flow in ("load", "pgcopy write") and self.trial.fault != "same table":
            self._judge_load(outcome)
        elif self.trial.flow in ("extract", "pgcopy read") and outcome.status == 0:
            versions = [self._version(1), self._version(2)]
            self._compare("the extract", judge.lake(self.place.lake), *versions)

    def _judge_load(self, outcome: Outcome) -> None:
        published = judge.marker(self.database, load_id(self.trial))
        if outcome.status == 0 and not published:
            self._complain("it said that it loaded, and there is no marker")
        if outcome.status not in (0, None) and published:
            self._complain(f"it loaded, and said: {_last_line(outcome.err)}")
        expected = rows.after(self.trial, self.rows) if published else rows.old(self.trial)
        self._compare("after the first run", judge.table(self.database), rows.as_json(expected))

    def _version(self, version: int) -> list[Any]:
        """A table that is read, as it is at a version of all of its rows."""
        return sorted((row[0], version, row[2]) for row in self._texts(version))

    def _texts(self, version: int) -> list[list[Any]]:
        return self.database.as_json(
            f"SELECT json_build_array(id, {version}, md5(id || ' ' || {version}) || repeat('x', 200)) "
            f"FROM generate_series(0, {tables.SOURCE_ROWS - 1}) AS id"
        )

    def _judge_last(self) -> None:
        if self.trial.flow in WRITES:
            expected = rows.after(self.trial, self.rows)
            if self.trial.fault == "same table" and self.trial.mode == "append":
                expected = expected + self.rows
            self._compare("at the end", judge.table(self.database), rows.as_json(expected))
        elif self.trial.flow == "incremental":
            self._judge_lake()
        else:
            self._compare("at the end", judge.lake(self.place.lake), judge.source(self.database))
        for left in judge.left_in(self.database):
            self._complain(f"left: {left}")

    def _judge_lake(self) -> None:
        self._compare("the lake", judge.newest(judge.lake(self.place.lake)), judge.source(self.database))
        self.database.run(f"SET ROLE {LOADER}; UPDATE shop.target SET version = 3, text = 'new' WHERE id % 5 = 0")
        outcome = self._run(CLUSTER, ask(self.trial, self.place))
        if outcome.status != 0:
            self._complain(f"the next run failed: {_last_line(outcome.err)}")
        self._compare(
            "the lake after an update", judge.newest(judge.lake(self.place.lake)), judge.source(self.database)
        )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "nothing"


def children_left() -> list[str]:
    """Processes below this one; for the end, when there are to be none."""
    return [" ".join(process.cmdline())[:100] for process in psutil.Process().children(recursive=True)]
