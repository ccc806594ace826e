"""The verdict on a trial: how its job ended, and what was wrong."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from chaos.plan.trial import Trial
from chaos.stage.spark.drivers import Outcome


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
