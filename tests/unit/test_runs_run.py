"""What a run's state means."""

from __future__ import annotations

from dataclasses import replace

import botocore.session
import pytest
from emr_runs import APPLICATION, RUN, job_run

from pgjobs.errors import CANCELLED, FAILED, OK, TIMED_OUT
from pgjobs.runs.run import ENDED, GOING_ON, Run, read_run, takes_grace

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


@pytest.mark.parametrize(
    ("release", "takes"),
    [("emr-7.8.0", False), ("emr-7.9.0", True), ("emr-7.14.0", True), ("emr-spark-8.0-preview", True), ("", False)],
)
def test_releases_before_7_9_have_no_grace_period(release: str, takes: bool) -> None:
    assert takes_grace(release) is takes
