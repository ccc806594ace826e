"""make chaos: how a job may end under a fault."""

from __future__ import annotations

import pytest

from chaos.judge.endings import contradictions
from chaos.plan.draw import draw
from chaos.plan.trial import Trial
from chaos.stage.spark.drivers import Outcome


def trial_of(fault: str) -> Trial:
    return next(trial for trial in map(draw, range(1, 1_000)) if (trial.flow, trial.fault) == ("load", fault))


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("stall", Outcome(0)),
        ("cut", Outcome(1, err="error: the connection was lost")),
        ("kill driver", Outcome(None)),
        ("pooler shares", Outcome(1, err="error: a pooler in transaction mode is in between")),
    ],
)
def test_a_job_may_end_well_by_one_error_or_with_its_driver(fault: str, outcome: Outcome) -> None:
    assert list(contradictions(trial_of(fault), outcome)) == []


@pytest.mark.parametrize(
    ("fault", "outcome", "told"),
    [
        ("cut", Outcome(1, err="error: one\nerror: two"), "the error is not one line"),
        ("cut", Outcome(1, err="Traceback\nerror: lost"), "the error is not one line"),
        ("stall", Outcome(1, err="error: too slow"), "it need not have failed: error: too slow"),
        ("cut", Outcome(None), "the driver died"),
        ("pooler shares", Outcome(0), "a pooler in transaction mode was not refused"),
    ],
)
def test_any_other_end_is_told(fault: str, outcome: Outcome, told: str) -> None:
    assert any(told in complaint for complaint in contradictions(trial_of(fault), outcome))
