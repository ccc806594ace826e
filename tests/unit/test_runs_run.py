"""What a run's state means, and what is told while and after one waits for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import islice

import botocore.session
import pytest
from emr_runs import APPLICATION, CREATED, RUN, job_run, on_time

from pgjobs.errors import CANCELLED, FAILED, OK, TIMED_OUT, PassingError
from pgjobs.runs.poll import Follower, WaitedEnough, changes, pauses
from pgjobs.runs.run import ENDED, GOING_ON, Run, read_run, takes_grace
from pgjobs.runs.summary import ending, headline, status
from pgjobs.submit.start import is_earlier

GOING = Run(APPLICATION, RUN, "RUNNING")


def test_every_state_of_the_api_is_known() -> None:
    model = botocore.session.get_session().get_service_model("emr-serverless")
    assert {*GOING_ON, *ENDED} == set(model.shape_for("JobRunState").enum)


def test_a_run_is_read_from_what_the_api_answers() -> None:
    run = read_run(
        job_run(
            "FAILED",
            attempt=2,
            retryPolicy={"maxAttempts": 3},
            totalExecutionDurationSeconds=61,
            billedResourceUtilization={"vCPUHour": 1.5, "memoryGBHour": 6.0, "storageGBHour": 0.0},
        )
    )
    assert (run.state, run.attempt, run.most_attempts, run.log_uri) == ("FAILED", 2, 3, "s3://logs-bucket/logs/")
    assert run.billed == {"vCPUHour": 1.5, "memoryGBHour": 6.0}


def test_a_run_is_read_from_the_little_that_moto_answers() -> None:
    run = read_run({"jobRun": {"applicationId": APPLICATION, "jobRunId": RUN, "state": "RUNNING"}})
    assert run == GOING


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (replace(GOING, state="SUCCESS"), OK),
        (replace(GOING, state="FAILED"), FAILED),
        (replace(GOING, state="FAILED", details="connection timed out"), FAILED),
        (replace(GOING, state="CANCELLED", timeout_minutes=720, seconds=60), CANCELLED),
        (replace(GOING, state="CANCELLED", timeout_minutes=1, seconds=60), TIMED_OUT),
        (replace(GOING, state="CANCELLED", details="Job run timed out"), TIMED_OUT),
    ],
)
def test_the_exit_status_tells_ends_apart(run: Run, code: int) -> None:
    assert run.ended
    assert run.status == code


def test_an_unknown_state_is_taken_for_going_on_and_said_once() -> None:
    odd = replace(GOING, state="PREPARING")
    assert not odd.ended
    assert changes(GOING, odd) == ["PREPARING: a state that this version of pgjobs does not know; waiting on"]
    assert changes(odd, odd) == []


def test_changes_of_state_and_attempt_are_told() -> None:
    assert changes(None, GOING) == ["RUNNING"]
    again = replace(GOING, state="SCHEDULED", attempt=2, most_attempts=3)
    assert changes(GOING, again) == ["attempt 2 of 3", "SCHEDULED: workers are being started"]


def test_pauses_grow_to_a_bound_and_chance_shortens_them() -> None:
    longest = list(islice(pauses(lambda: 1.0), 8))
    assert longest[:3] == [2.0, 3.0, 4.5]
    assert longest[-1] == 20.0
    assert next(pauses(lambda: 0.0)) == 1.5


def follower(answers: list[Run | Exception], told: list[str], slept: list[float] | None = None) -> Follower:
    """A follower of a run that answers these, one at a question; the last one for ever."""
    clock, pauses_made = on_time()
    left = list(answers)

    def read() -> Run:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        if slept is not None:
            slept[:] = pauses_made
        return answer

    return Follower(read, lambda *_: False, told.append, 0, clock)


def test_all_nine_states_are_followed_to_the_end() -> None:
    told: list[str] = []
    states = ["SUBMITTED", "QUEUED", "PENDING", "SCHEDULED", "RUNNING", "CANCELLING", "CANCELLED"]
    run = follower([replace(GOING, state=state) for state in states], told).until_ended(1000)
    assert run.state == "CANCELLED"
    assert [line.partition(":")[0] for line in told] == states[:-1]


def test_what_aws_cannot_answer_now_is_told_once_and_asked_again() -> None:
    told: list[str] = []
    passing = PassingError("AWS cannot serve GetJobRun: Rate exceeded.")
    follower([GOING, passing, passing, GOING, passing, replace(GOING, state="SUCCESS")], told).until_ended(1000)
    assert told == ["RUNNING", f"{passing} Waiting on.", f"{passing} Waiting on."]


def test_after_a_change_of_state_it_is_asked_often_again() -> None:
    slept: list[float] = []
    scheduled = replace(GOING, state="SCHEDULED")
    follower([*[scheduled] * 5, GOING, GOING, replace(GOING, state="SUCCESS")], [], slept).until_ended(1000)
    assert slept == [2.0, 3.0, 4.5, 6.75, 10.125, 2.0, 3.0]


def test_waiting_ends_at_the_deadline_and_not_later() -> None:
    slept: list[float] = []
    with pytest.raises(WaitedEnough):
        follower([GOING], [], slept).until_ended(30)
    assert sum(slept) == 30


def test_a_failure_tells_the_reason_first_then_the_end_of_stderr_then_the_hint() -> None:
    run = replace(GOING, state="FAILED", details="Job failed, exit code 1", seconds=3723, attempt=2, most_attempts=3)
    lines = [*(f"INFO {n}" for n in range(50)), "error: No server answers at db:5432: timed out."]
    shown = ending(run, [], lines).splitlines()
    assert shown[0] == "FAILED after 1 h 2 min 3 s, attempt 2 of 3: Job failed, exit code 1"
    assert shown[2:4] == ["the end of stderr:", "  INFO 31"]
    assert shown[22] == "  error: No server answers at db:5432: timed out."
    assert shown[24].startswith("hint: No way to the database")


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
        "(AWS may still be counting for some minutes after the end.)",
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


@pytest.mark.parametrize(
    ("release", "takes"),
    [("emr-7.8.0", False), ("emr-7.9.0", True), ("emr-7.14.0", True), ("emr-spark-8.0-preview", True), ("", False)],
)
def test_releases_before_7_9_have_no_grace_period(release: str, takes: bool) -> None:
    assert takes_grace(release) is takes


@pytest.mark.parametrize(
    ("age", "took", "earlier"), [(2.0, 1.0, False), (60.0, 1.0, True), (60.0, 55.0, False), (-3.0, 0.0, False)]
)
def test_a_run_older_than_its_own_submission_is_an_earlier_one(age: float, took: float, earlier: bool) -> None:
    answered = datetime(2026, 11, 20, tzinfo=timezone.utc)
    assert is_earlier(answered - timedelta(seconds=age), answered, timedelta(seconds=took)) is earlier
    assert not is_earlier(None, answered, timedelta(0))
