"""The draw of a trial, which follows entirely from its seed.

Seeds 1 to `len(DECK)` combine each job with each of its faults once; later seeds draw among these combinations.
"""

from __future__ import annotations

import random
from collections.abc import Collection

from chaos.plan.deck import DECK, Case
from chaos.plan.flows import (
    APPENDS,
    CAPTURE,
    COPY_TABLE,
    FILES_ONLY,
    FLOWS,
    FOLLOW,
    KEPT,
    LOADS,
    NEIGHBOURS_OF_WRITES,
    ONE_PART,
    PARTS,
    RELEASE,
    STATEMENTS,
    WIRE_FAULTS,
)
from chaos.plan.ids import ROWS
from chaos.plan.steps import COMMITS, FIRST_STEPS, RESUMING_STEPS, SCRIPT_STEPS, STEPS, how_often
from chaos.plan.trial import Point, Trial

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

PRIMED = 2
"""One in so many captures has made its first copy before, one in so many kept loads has staged parts, and one in so
many tables that follow a capture has a position."""

_PARTITIONS_CHANGE = ("detach and attach", "attach partition", "detach partition")


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
        # The table that is swapped in has no partitions: a load that is to create one refuses it.
        supplies=is_load
        and case.flow != KEPT
        and target == "partitioned"
        and case.fault != "swap by rename"
        and seed % SUPPLIED == 1,
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
