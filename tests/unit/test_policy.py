"""What a load does about bad rows: flags that do not fit together are refused, and limits hold exactly."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.rejects.policy import QUARANTINE, Policy, TooManyRejects


@pytest.mark.parametrize(
    "policy",
    [
        Policy("ignore"),
        Policy(max_errors=1),
        Policy(max_error_rate=0.1),
        Policy(QUARANTINE, -1),
        Policy(QUARANTINE, None, 1.1),
        Policy(QUARANTINE, None, float("nan")),
    ],
    ids=str,
)
def test_a_policy_that_cannot_be_right_is_refused(policy: Policy) -> None:
    with pytest.raises(UsageError):
        policy.check()


def test_limits_are_reached_but_not_exceeded() -> None:
    Policy(QUARANTINE, 3).check_rate(3, 3)
    Policy(QUARANTINE, None, 0.01).check_rate(1, 100)
    Policy(QUARANTINE, None, 0.29).check_rate(29, 100)
    Policy(QUARANTINE, None, 0.0).check_rate(0, 0)
    with pytest.raises(TooManyRejects, match="At least 4 rows were rejected, and --max-errors allows 3: why"):
        Policy(QUARANTINE, 3).check_rate(4, 1000, ": why")
    with pytest.raises(TooManyRejects, match=r"2 of 199 rows .* --max-error-rate allows 0\.01"):
        Policy(QUARANTINE, None, 0.01).check_rate(2, 199)
