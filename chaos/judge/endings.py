"""How a job may end under its fault: well, or by one error in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.plan.flows import FOLLOW, LOADS, ONE_PART, PARTS, QUERY, RELEASE
from chaos.plan.trial import Trial
from chaos.stage.spark.drivers import Outcome

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


def contradictions(trial: Trial, outcome: Outcome) -> Iterator[str]:
    """Yield what is wrong with the end of a disturbed job."""
    if outcome.status not in (0, None):
        errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
        if len(errors) != 1 or "Traceback" in outcome.err:
            yield f"the error is not one line: {outcome.err[-500:]!r}"
        if passes(trial.flow, trial.fault):
            yield f"it need not have failed: {outcome.last_line}"
    if outcome.status is None and trial.fault != "kill driver":
        yield "the driver died"
    if trial.fault == "pooler shares" and (outcome.status == 0 or "transaction mode" not in outcome.err):
        yield f"a pooler in transaction mode was not refused: {outcome.last_line}"
