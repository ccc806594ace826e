"""One trial, from its data to its verdict."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.data import release, rows
from chaos.data.batches import Capture
from chaos.errors import ChaosError
from chaos.faults import causes, roles
from chaos.faults.scene import Scene
from chaos.jobs import tables
from chaos.jobs.names import BEFORE, NEXT, load_id
from chaos.jobs.place import Place
from chaos.jobs.request import ask, ask_and_fail
from chaos.judge.courts import court_of
from chaos.judge.reader import Reader
from chaos.judge.verdict import Verdict
from chaos.plan.flows import CAPTURE, COPY_TABLE, FOLLOW, KEPT, NEWER, RELEASE, WRITES
from chaos.plan.trial import Trial
from chaos.stage.database import LOADER, Database
from chaos.stage.pooler import Pooler, pooler
from chaos.stage.spark.drivers import Outcome
from chaos.stage.stage import CLUSTER, RIVAL, Stage
from chaos.stage.wire import Ambush, Link

RERUNS = 2
"""How often a job may fail after the fault has ended: it may still meet what the fault left running."""


def run(trial: Trial, stage: Stage) -> Verdict:
    """Run the whole trial, and report what was wrong."""
    verdict = Verdict(trial)
    start = time.monotonic()
    folder = stage.folder / f"trial-{trial.seed}"
    with stage.server.database(f"chaos_{trial.seed}") as database, _removed(stage, folder):
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
def _removed(stage: Stage, folder: object) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)
        stage.server.clock.right()


@dataclass
class _Run:
    trial: Trial
    stage: Stage
    database: Database
    place: Place
    verdict: Verdict
    outcomes: list[Outcome] = field(default_factory=list)
    capture: Capture | None = None

    def whole(self) -> None:
        loaded = rows.loaded(self.trial) if self.trial.flow in WRITES else []
        with self._taking("make"):
            tables.make(self.trial, self.database)
            roles.make_hostile(self.trial, self.database)
            self._make_files(loaded)
        if self.trial.deletes:
            with self._taking("run before"):
                self._rerun("the run before")
                tables.delete_some(self.database)
        court = court_of(self.trial, self.database, self.place, self.verdict, loaded)
        if self.trial.primed:
            with self._taking("run before"):
                self._prime()
        if self.capture is not None:
            self.capture.change()
            self.capture.begin()
        with self._reader():
            with self._taking("first run"):
                neighbour = self._disturbed()
            with self._taking("judge"):
                court.judge_first(neighbour)
            if self.capture is not None:
                self.capture.complete()
                self.capture.leave_and_tell()
            with self._taking("rerun"):
                self._again_until_done()
        with self._taking("judge"):
            court.judge_last()
        if self.trial.flow in (*NEWER, CAPTURE):
            with self._taking("rerun"):
                tables.change(self.trial, self.database)
                self._rerun("the next run")
            court.judge_next()
        if self.capture is not None:
            with self._taking("rerun"):
                self.capture.change()
                self._rerun("the next load", identity=load_id(self.trial) + NEXT)
            court.judge_next()
        with self._taking("search"):
            court.judge_leftovers(self.stage.driver(CLUSTER), self.stage.ended)
            self._search()

    def _prime(self) -> None:
        """Run what has to be done before anything breaks."""
        if self.trial.flow == KEPT:
            self._stage_and_fail()
        elif self.trial.flow == FOLLOW:
            self._rerun("the load before", identity=load_id(self.trial) + BEFORE)
        else:
            self._rerun("the first copy")
            tables.delete_some(self.database)

    def _stage_and_fail(self) -> None:
        outcome = self._asked(CLUSTER, ask_and_fail(self.trial, self.place))
        if outcome.status != 1 or not tables.lose_a_part(self.database):
            self.verdict.complaints.append(f"the run before kept nothing: {outcome.last_line}")

    @contextlib.contextmanager
    def _taking(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.verdict.phases[phase] += time.monotonic() - start

    @contextlib.contextmanager
    def _reader(self) -> Iterator[None]:
        """Read the tables of a release beside the block."""
        if self.trial.flow != RELEASE:
            yield
            return
        with Reader(self.trial, self.database) as reader:
            yield
        self.verdict.complaints.extend(reader.complaints)

    def _make_files(self, loaded: list[rows.Row]) -> None:
        if self.trial.flow == COPY_TABLE:
            self.place.folder.mkdir(parents=True)
            tables.fill_origin(self.database, loaded)
        elif self.trial.flow == FOLLOW:
            self.capture = Capture(self.trial, self.place.source)
            self.capture.copy(loaded)
        elif self.trial.flow in WRITES:
            rows.write(self.place.source, loaded)
            if self.trial.flow == RELEASE:
                release.write(self.trial, self.place.folder)
        else:
            self.place.folder.mkdir(parents=True)

    def _disturbed(self) -> bool:
        """Run the job while something breaks, and repair that. Return whether another session changed its table."""
        driver = self.stage.driver(CLUSTER)
        with self._pooler() as between:
            choose = random.Random(self.trial.seed)  # noqa: S311 - no secret
            scene = Scene(self.trial, self.stage.server, self.database, driver=driver, choose=choose, pooler=between)
            spring = causes.springing(scene)
            ambush = None if spring is None else Ambush(self.trial.point, self._looking(spring))
            self.stage.wire.reset(ambush)
            rival = self._start_rival()
            self.verdict.first = self._run(CLUSTER)
            if rival:
                self.outcomes.append(self.stage.driver(RIVAL).await_outcome(self.stage.bound))
            self.verdict.struck = ambush.sprung if ambush is not None else "throughout"
            self.stage.wire.reset()
            done = scene.settle()
        self._heal()
        return done and self.verdict.struck is not None

    @contextlib.contextmanager
    def _pooler(self) -> Iterator[Pooler | None]:
        if not self.trial.fault.startswith("pooler"):
            yield None
            return
        server, wire = self.stage.server, self.stage.wire
        mode = "transaction" if self.trial.fault == "pooler shares" else "session"
        direct = wire.backend
        with pooler(*direct, LOADER, server.password, mode) as between:
            wire.backend = ("127.0.0.1", between.port)
            try:
                yield between
            finally:
                wire.backend = direct

    def _looking(self, spring: causes.Spring) -> causes.Spring:
        """Look for the password where it would be visible only for a while, before something breaks."""

        def look_and_spring(link: Link) -> None:
            if self.capture is not None:
                self.capture.complete()
            search = self.stage.search
            places = [*search.in_command_lines(), *search.in_texts(self.database.shown())]
            self.verdict.complaints.extend(places)
            spring(link)

        return look_and_spring

    def _start_rival(self) -> bool:
        if self.trial.fault not in ("same id", "same table"):
            return False
        self.stage.driver(RIVAL).ask(ask(self.trial, self.place, identity=self._rivals_id()))
        if self.capture is not None:
            self.capture.complete()
        return True

    def _rivals_id(self) -> str:
        return load_id(self.trial) + ("" if self.trial.fault == "same id" else "/rival")

    def _run(self, master: str, identity: str = "") -> Outcome:
        return self._asked(master, ask(self.trial, self.place, identity))

    def _asked(self, master: str, request: Mapping[str, Any]) -> Outcome:
        driver = self.stage.driver(master)
        driver.ask(request)
        try:
            self.outcomes.append(driver.await_outcome(self.stage.bound))
        except ChaosError:
            self.stage.give_up(master)
            raise
        return self.outcomes[-1]

    def _heal(self) -> None:
        self.stage.wire.hang_up()
        self.stage.server.await_restart()
        self.stage.server.clock.right()
        self.stage.server.reset_role()

    def _again_until_done(self) -> None:
        self._rerun("a rerun", times=RERUNS)
        if self.trial.fault == "same table":
            self._rerun("the rival's rerun", RIVAL, self._rivals_id())

    def _rerun(self, what: str, master: str = CLUSTER, identity: str = "", times: int = 1) -> None:
        for _ in range(times):
            outcome = self._run(master, identity)
            if outcome.status == 0:
                return
        self.verdict.complaints.append(f"{what} failed: {outcome.last_line}")

    def _search(self) -> None:
        search = self.stage.search
        texts = [("what a job printed", outcome.out + outcome.err) for outcome in self.outcomes]
        self.verdict.complaints.extend([*search.in_texts(texts), *search.in_files()])
