"""The plan of a trial, which follows entirely from its seed.

Seeds 1 to `len(DECK)` combine each job with each of its faults once; later seeds draw among these combinations.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import cycle

from chaos.plan.flows import (
    APPENDS,
    CAPTURE,
    COPY_ROWS,
    COPY_TABLE,
    FAULTS,
    FLOWS,
    FOLLOW,
    KEPT,
    LOADS,
    NEIGHBOURS_OF_WRITES,
    ONE_PART,
    PARTITIONS,
    PARTS,
    QUERY,
    REFERENCED,
    RELEASE,
    REPLACE_PARTITIONS,
    STATEMENTS,
    TARGETS,
    WIRE_FAULTS,
    WRITES,
)
from chaos.plan.steps import COMMITS, FIRST_STEPS, RESUMING_STEPS, SCRIPT_STEPS, STEPS, how_often

ROWS = 12_000
"""Rows of a load's input."""

VERIFIED = 2
"""One in so many loads uses --verify."""

GOVERNED = 2
"""One in so many appends uses --max-wal-rate."""

SUPPLIED = 3
"""One in so many loads into partitions lacks one, and creates it."""

TOLD = 2
"""One in so many incremental extracts uses --deletes, and has a run before, with whose keys it compares."""

SLICED = (1, 2)
"""Of each four overwrites, these replace a slice: one of them is verified."""

DIFFERENT = 3
"""Of each four overwrites of a table with a unique index, this one writes only what differs."""

SKIPPED = 2
"""One in so many upserts looks for unchanged rows."""

CHANGED = (0, 1)
"""Of each five upserts into a table, these delete rows: by a condition, and because the data lacks them."""

HISTORIC = 2
"""One in so many upserts that make a table keeps a history instead. They are not verified."""

SCRIPTED = 3
"""One in so many loads runs SQL before and after its rows."""

DEFINED = 5
"""One in so many loads defines columns of its own."""

REJECTING = 3
"""All but one in so many loads into a table that exists have bad rows, which they put aside."""

ONE_BAD_IN = 500
"""Of so many rows of the input, such a load has a bad row more."""

UNTOUCHED = ROWS * 4 // 3
"""The lowest id of a partition into which no load brings rows."""

OVERLAP = 500
"""Rows that a table has before a load. In modes with keys, it has as many again with keys of loaded rows."""

LEAVES_WINDOW = ROWS + OVERLAP - 1
"""The id that a script deletes before the rows of a load are moved."""

DELETED = 7
"""Of so many rows of a load, the second says that its key is deleted."""

LEFT_OUT = 0
"""The id that a script deletes afterwards."""

PRIMED = 2
"""One in so many captures has made its first copy before, one in so many kept loads has staged parts, and one in so
many tables that follow a capture has a position."""

_PARTITIONS_CHANGE = ("detach and attach", "attach partition", "detach partition")
FILES_ONLY = ("fail upstream", "slow twin")
"""What happens while a task reads its file: their rows are not shuffled."""


@dataclass(frozen=True)
class Point:
    """When a fault strikes.

    Attributes:
        unit: "statement" or "byte" (of COPY), counted over all connections of the job, or the name of a step.
        at: The number of the statement, byte or step.
        answered: Whether it strikes after the server has executed the statement and before the job gets the answer;
            otherwise before the server gets the statement.
    """

    unit: str
    at: int
    answered: bool

    def __str__(self) -> str:
        which = f"{self.unit} {self.at:,}" if self.unit in ("statement", "byte") else f"<{self.unit}> {self.at}"
        return f"{'after' if self.answered else 'before'} {which}"


@dataclass(frozen=True)
class Trial:
    """One job, one fault.

    Attributes:
        flow: The job.
        mode: The mode of a load; a job that reads has none.
        target: The kind of table.
        input: The source of a load's rows.
        fault: What breaks.
        point: When it breaks.
        seconds: How long a temporary fault lasts.
        verify: Whether a load uses --verify.
        deletes: Whether an incremental extract uses --deletes.
        slice: Whether a load overwrites the rows of a condition only.
        scripts: Whether a load runs SQL before and after its rows.
        primed: Whether a capture has made its first copy before anything breaks, a kept load has staged parts, or a
            table that follows a capture has a position.
        difference: Whether a load overwrites only what differs.
        skip: Whether an upsert looks for unchanged rows.
        defined: Whether a load adds columns of its own to the table.
        changes: Whether an upsert deletes rows, too.
        history: Whether a load that makes its table keeps a history.
        governed: Whether an append is published in slices, as the rate of WAL allows.
        supplies: Whether the table lacks a partition that the load creates.
        rejects: Whether a load has bad rows beside its own, which it puts aside.
    """

    seed: int
    flow: str
    mode: str
    target: str
    input: str
    fault: str
    point: Point
    seconds: float
    verify: bool = False
    deletes: bool = False
    slice: bool = False
    scripts: bool = False
    difference: bool = False
    skip: bool = False
    primed: bool = False
    defined: bool = False
    governed: bool = False
    changes: bool = False
    history: bool = False
    supplies: bool = False
    rejects: bool = False

    def __str__(self) -> str:
        added = {
            "verified": self.verify,
            "with deletes": self.deletes,
            "scripted": self.scripts,
            "of a slice": self.slice,
            "by difference": self.difference,
            "without unchanged rows": self.skip,
            "primed": self.primed,
            "with columns": self.defined,
            "governed": self.governed,
            "with changes": self.changes,
            "with history": self.history,
            "with a new partition": self.supplies,
            "with bad rows": self.rejects,
        }
        words = (self.flow, *(word for word, is_true in added.items() if is_true), self.mode, self.target, self.input)
        what = " ".join(filter(None, words))
        return f"{what}: {self.fault} {self.point}"


@dataclass(frozen=True)
class Case:
    """A job, its table, and what breaks. The point in time is drawn for each trial."""

    flow: str
    fault: str
    mode: str
    target: str


def cases() -> Iterator[Case]:
    """Return each job with each of its faults. Modes and tables of writes alternate."""
    kinds = cycle([(mode, target) for mode, targets in TARGETS.items() for target in targets])
    existing = cycle(TARGETS["append"][1:])
    referenced = cycle([(mode, target) for mode in TARGETS for target in REFERENCED])
    following = cycle(TARGETS["upsert"])
    for flow, faults in FAULTS.items():
        for fault in faults:
            mode, target = next(kinds) if flow in WRITES else ("", "plain")
            if flow == "pgcopy stream write" and mode == "overwrite":
                mode = "append"  # a stream replaces no rows
            if flow == COPY_TABLE and mode == "ignore":
                mode = "upsert"  # it has no other mode with keys
            if flow in APPENDS:
                mode, target = "append", next(existing)
            if flow == PARTITIONS:
                mode, target = REPLACE_PARTITIONS, "partitioned"
            if flow == RELEASE:
                mode, target = next(referenced)
                if (mode, fault) == ("append", "same table"):
                    mode = "upsert"  # both have the same keys
            if flow == FOLLOW:
                mode, target = "upsert", next(following)
            yield Case(flow, fault, mode, target)


def _shuffled(dealt: list[Case]) -> tuple[Case, ...]:
    random.Random(0).shuffle(dealt)  # noqa: S311 - a repeatable order, and no secret
    return tuple(dealt)


def _dealt() -> tuple[Case, ...]:
    """Return all cases. Those of a job that was added later come last, so that earlier seeds remain what they were."""
    dealt = list(cases())
    later = (QUERY, CAPTURE, COPY_ROWS, ONE_PART, PARTITIONS, PARTS, KEPT, COPY_TABLE, RELEASE, FOLLOW)
    first = _shuffled([case for case in dealt if case.flow not in later])
    return *first, *(case for flow in later for case in _shuffled([case for case in dealt if case.flow == flow]))


DECK = _dealt()


def draw(seed: int, lacking: Collection[str] = ()) -> Trial:
    """Return the trial of a seed.

    Args:
        seed: The seed, from 1 on.
        lacking: Flows and faults that are impossible here. Others replace them.
    """
    choose = random.Random(seed)  # noqa: S311 - a repeatable draw, and no secret
    case = DECK[seed - 1] if 0 < seed <= len(DECK) else _any(choose)
    while case.flow in lacking or case.fault in lacking:
        case = _any(choose)
    target = _target(choose, case)
    source = ("files" if case.fault in FILES_ONLY else choose.choice(("files", "shuffled"))) if case.mode else ""
    if case.flow in (ONE_PART, PARTS, KEPT, COPY_TABLE):
        source = "files"
    if case.fault == "lose shuffle":
        source = "shuffled"
    is_load = case.flow in LOADS
    scripts = is_load and seed % SCRIPTED == 0
    primed = (seed if case.flow == CAPTURE else seed // VERIFIED) % PRIMED == 0
    point = _point(choose, case, scripts=scripts, primed=primed)
    return Trial(
        seed=seed,
        flow=case.flow,
        mode=case.mode,
        target=target,
        input=source,
        fault=case.fault,
        point=point,
        seconds=choose.uniform(1.0, 3.0),
        verify=(is_load or case.flow in (RELEASE, FOLLOW)) and seed % VERIFIED == 0,
        slice=is_load and case.mode == "overwrite" and seed % 4 in SLICED,
        scripts=scripts,
        difference=is_load and case.mode == "overwrite" and target != "plain" and seed % 4 == DIFFERENT,
        skip=is_load and case.mode == "upsert" and seed % SKIPPED == 0,
        # Columns cannot be added while another session attaches a partition, or swaps a table that lacks them.
        defined=is_load and seed % DEFINED == 0 and target != "partitioned" and case.fault not in NEIGHBOURS_OF_WRITES,
        governed=is_load and case.mode == "append" and seed % GOVERNED == 0,
        changes=is_load and case.mode == "upsert" and target != "new" and seed % 5 in CHANGED,
        history=is_load and case.flow != KEPT and case.mode == "upsert" and target == "new" and seed % HISTORIC == 1,
        supplies=is_load and case.flow != KEPT and target == "partitioned" and seed % SUPPLIED == 1,
        rejects=case.flow == "load"
        and target != "new"
        and seed % REJECTING != REJECTING - 1
        and (case.mode != "upsert" or seed % 5 not in CHANGED),
        deletes=case.flow == "incremental" and seed % TOLD == 0,
        primed=case.flow in (CAPTURE, KEPT, FOLLOW) and primed,
    )


def _any(choose: random.Random) -> Case:
    flow = choose.choices(list(FLOWS), list(FLOWS.values()))[0]
    return choose.choice([case for case in DECK if case.flow == flow])


def _target(choose: random.Random, case: Case) -> str:
    if case.fault in _PARTITIONS_CHANGE or case.flow == "incremental":
        return "partitioned"
    if case.flow in APPENDS and case.fault == "same table":
        return "plain"  # the rival appends the same rows
    if not case.mode:
        return choose.choice(("plain", "partitioned"))
    if case.target == "new" and (case.fault in NEIGHBOURS_OF_WRITES or case.fault == "lock target"):
        return "indexed"
    return case.target


def _point(choose: random.Random, case: Case, *, scripts: bool, primed: bool) -> Point:
    if case.fault == "lose answer to COMMIT":
        return Point(COMMITS[case.flow], 1, answered=True)
    unit = "byte" if case.fault == "lose shuffle" else choose.choice(("byte", "step", "step", "statement"))
    answered = case.fault == "lose answer" or (case.fault not in WIRE_FAULTS and choose.random() < 0.5)  # noqa: PLR2004
    if unit == "byte" and case.fault != "lose answer":
        return Point("byte", choose.randrange(1, ROWS * 100), answered=False)
    if unit == "step":
        left_out = (FIRST_STEPS if primed else RESUMING_STEPS) if case.flow == KEPT else ()
        steps = [step for step in STEPS[case.flow] if step not in left_out]
        step = choose.choice((*steps, *(SCRIPT_STEPS if scripts else ())))
        return Point(step, choose.randint(1, how_often(step, case.flow)), answered)
    return Point("statement", choose.randrange(1, STATEMENTS[case.flow]), answered)
