"""The deck: each job with each of its faults, once, in the order of the first seeds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from chaos.plan.flows import (
    APPENDS,
    CAPTURE,
    COPY_ROWS,
    COPY_TABLE,
    FAULTS,
    FOLLOW,
    KEPT,
    ONE_PART,
    PARTITIONS,
    PARTS,
    QUERY,
    REFERENCED,
    RELEASE,
    REPLACE_PARTITIONS,
    TARGETS,
    WRITES,
)


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
