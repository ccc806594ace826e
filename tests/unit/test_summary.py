"""What is told of a run that has ended, and of its state."""

from __future__ import annotations

from dataclasses import replace

from emr_runs import APPLICATION, CREATED, RUN

from pgjobs.runs.run import Run
from pgjobs.runs.summary import ending, headline, status

GOING = Run(APPLICATION, RUN, "RUNNING")


def test_a_failure_tells_the_reason_first_then_the_end_of_stderr_then_the_hint() -> None:
    run = replace(GOING, state="FAILED", details="Job failed, exit code 1", seconds=3723, attempt=2, most_attempts=3)
    lines = [*(f"INFO {n}" for n in range(50)), "error: No server answers at db:5432: timed out."]
    shown = ending(run, [], lines).splitlines()
    assert shown[0] == "FAILED after 1 h 2 min 3 s, attempt 2 of 3: Job failed, exit code 1"
    assert shown[2:4] == ["the end of stderr:", "  INFO 31"]
    assert shown[22] == "  error: No server answers at db:5432: timed out."
    assert shown[24].startswith("hint: The database cannot be reached")


def test_a_success_tells_the_cost_and_that_it_may_grow() -> None:
    billed = {"vCPUHour": 1.25, "memoryGBHour": 5.0, "storageGBHour": 0.5}
    shown = ending(replace(GOING, state="SUCCESS", seconds=60, billed=billed), [], ["INFO"])
    assert shown.splitlines() == [
        "SUCCESS after 1 min",
        "",
        "billed            hours",
        "vCPU-hours        1.250",
        "memory GB-hours   5.000",
        "storage GB-hours  0.500",
        "(AWS may still add to this for some minutes after the end.)",
    ]


def test_a_cost_that_is_not_counted_yet_is_no_zero() -> None:
    assert "not known yet" in ending(replace(GOING, state="SUCCESS"), [], [])


def test_a_timeout_is_told_as_one() -> None:
    run = replace(GOING, state="CANCELLED", timeout_minutes=5, seconds=300)
    assert headline(run) == "CANCELLED (--timeout-minutes 5 have passed) after 5 min"


def test_status_lists_attempts_where_there_were_several() -> None:
    attempts = [replace(GOING, attempt=n, state="FAILED", details="lost", created=CREATED) for n in (1, 2)]
    assert "attempt  state   created                  details\n1        FAILED" in status(GOING, attempts)
    assert "attempt" not in status(GOING, attempts[:1])
