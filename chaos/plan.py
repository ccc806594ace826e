"""What a trial does: all of it follows from the trial's seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

ROWS = 12_000
"""Rows of a load's input."""

OVERLAP = 500
"""Rows that a table has before, of which, in keyed modes, as many again have the keys of loaded rows."""

FLOWS = {
    "load": 10,
    "pgcopy write": 4,
    "pgcopy stream write": 2,
    "extract": 4,
    "incremental": 2,
    "pgcopy read": 2,
}
"""The jobs, each with its share of the trials."""

MODES = ("append", "overwrite", "upsert", "ignore")
TARGETS = ("new", "plain", "indexed", "partitioned")
INPUTS = ("files", "shuffled")

STATEMENTS = {
    "load": 60,
    "pgcopy write": 60,
    "pgcopy stream write": 150,
    "extract": 45,
    "incremental": 60,
    "pgcopy read": 45,
}
"""About as many statements as an undisturbed job sends; a fault's moment is drawn among them."""

WIRE_FAULTS = ("cut", "lose answer", "stall", "slow down", "half-close")
PROCESS_FAULTS = ("kill worker", "kill executor", "kill driver", "kill task")
SERVER_FAULTS = ("restart server", "terminate backends", "use up connections", "fill disk")
WRITE_FAULTS = ("lock target", "fail upstream", "slow twin", "same id", "same table", "hostile role")
READ_FAULTS = ("truncate and reload", "swap by rename", "rewrite", "hostile role")
INCREMENTAL_FAULTS = ("write meanwhile", "attach partition")

READS = ("extract", "pgcopy read")
WRITES = ("load", "pgcopy write", "pgcopy stream write")

MEASURED_IN_BYTES = 0.25
"""The share of moments that are places in a COPY stream, and not statements."""


@dataclass(frozen=True)
class Moment:
    """When a fault strikes.

    Attributes:
        unit: "statement" or "byte" (of COPY), counted over all of the job's connections.
        at: at which of them.
        answered: once the server has done it, before the job is told; else before the server hears of it.
    """

    unit: str
    at: int
    answered: bool

    def __str__(self) -> str:
        return f"{'after' if self.answered else 'before'} {self.unit} {self.at:,}"


@dataclass(frozen=True)
class Trial:
    """One job, one fault.

    Attributes:
        flow: which job runs.
        mode: of a load; a job that reads has none.
        target: the kind of table.
        input: where a load's rows come from.
        fault: what breaks.
        moment: when.
        seconds: how long a fault lasts that passes.
    """

    seed: int
    flow: str
    mode: str
    target: str
    input: str
    fault: str
    moment: Moment
    seconds: float

    def __str__(self) -> str:
        what = " ".join(filter(None, (self.flow, self.mode, self.target, self.input)))
        return f"{what}: {self.fault} {self.moment}"


def draw(seed: int) -> Trial:
    """The trial of a seed."""
    choose = random.Random(seed)  # noqa: S311 - a repeatable draw, and no secret
    flow = choose.choices(list(FLOWS), list(FLOWS.values()))[0]
    mode = choose.choice(MODES) if flow in WRITES else ""
    target = _target(choose, flow, mode)
    source = choose.choice(INPUTS) if flow in WRITES else ""
    fault = choose.choice(_faults(flow))
    if fault in ("fail upstream", "slow twin"):
        source = "files"
    return Trial(seed, flow, mode, target, source, fault, _moment(choose, flow, fault), choose.uniform(1.0, 4.0))


def _target(choose: random.Random, flow: str, mode: str) -> str:
    if mode in ("upsert", "ignore"):
        return choose.choice(("new", "indexed", "partitioned"))
    if flow in WRITES:
        return choose.choice(TARGETS)
    return "partitioned" if flow == "incremental" else choose.choice(("plain", "partitioned"))


def _faults(flow: str) -> tuple[str, ...]:
    if flow == "load":
        return WIRE_FAULTS + PROCESS_FAULTS + SERVER_FAULTS + WRITE_FAULTS
    own = {"extract": READ_FAULTS, "pgcopy read": READ_FAULTS, "incremental": INCREMENTAL_FAULTS}
    others = ("lock target", "fail upstream", "same table", "hostile role")
    return WIRE_FAULTS + PROCESS_FAULTS + SERVER_FAULTS + own.get(flow, others)


def _moment(choose: random.Random, flow: str, fault: str) -> Moment:
    if flow in WRITES and choose.random() < MEASURED_IN_BYTES:
        return Moment("byte", choose.randrange(1, ROWS * 100), answered=False)
    answered = fault == "lose answer" or (fault not in WIRE_FAULTS and choose.random() < 0.5)  # noqa: PLR2004 - a coin
    return Moment("statement", choose.randrange(1, STATEMENTS[flow]), answered)
