"""What a trial is: one job, one fault, and the point at which it strikes."""

from __future__ import annotations

from dataclasses import dataclass


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
