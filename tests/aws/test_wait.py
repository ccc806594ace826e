"""Waiting at the terminal: the logs as they grow in S3, attempts, Ctrl-C, deadlines, and what AWS refuses."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.stub import Stubber
from emr_runs import APPLICATION, RUN, Client, Terminal, console, emr, job_run, on_time, put_log

from pgjobs.aws import Clients
from pgjobs.errors import CANCELLED, FAILED, INTERRUPTED, OK, STILL_GOING, AwsError
from pgjobs.runs.run import Run, read_run
from pgjobs.runs.wait import WaitOptions, wait

ASKED = {"applicationId": APPLICATION, "jobRunId": RUN}


def started(**changes: object) -> Run:
    return read_run(job_run("SUBMITTED", **changes))


def answering(*answers: dict[str, Any]) -> tuple[Client, Stubber]:
    """EMR Serverless, whose run is seen in these states, one after the other."""
    client, stubber = emr()
    for answer in answers:
        stubber.add_response("get_job_run", answer, ASKED)
    return client, stubber


def interrupt() -> None:
    raise KeyboardInterrupt


def test_output_and_errors_are_shown_as_they_grow_each_line_once(s3: Client) -> None:
    ended = job_run("SUCCESS", totalExecutionDurationSeconds=90, billedResourceUtilization={"vCPUHour": 0.4})
    client, stubber = answering(job_run("RUNNING"), job_run("RUNNING"), ended, ended)
    put_log(s3, "SPARK_DRIVER/stderr", "INFO a\n")
    clock, _ = on_time(
        [
            lambda: put_log(s3, "SPARK_DRIVER/stdout", "one\ntw"),
            lambda: put_log(s3, "SPARK_DRIVER/stdout", "one\ntwo\n"),
            lambda: put_log(s3, "SPARK_DRIVER/stdout", "one\ntwo\nthe end, after the run's"),
        ]
    )
    terminal, out, err = console()
    assert wait(Clients(client, s3), started(), WaitOptions(), terminal, clock) == OK
    assert out.getvalue() == "one\ntwo\nthe end, after the run's"
    assert err.getvalue().splitlines()[:3] == ["RUNNING", "INFO a", "SUCCESS after 1 min 30 s"]
    assert "vCPU-hours  0.400" in err.getvalue()
    stubber.assert_no_pending_responses()


def test_a_terminal_has_the_progress_in_one_line_that_goes_at_the_end(s3: Client) -> None:
    client, _ = answering(job_run("RUNNING"), job_run("RUNNING"), job_run("SUCCESS"), job_run("SUCCESS"))
    progress = "copy [##########..........] 1/2 parts, 10 rows, 1.0 MB/s"
    put_log(s3, "SPARK_DRIVER/stderr", f"INFO a\n{progress}\nINFO b\n")
    terminal, _, _ = console()
    err = Terminal()
    assert wait(Clients(client, s3), started(), WaitOptions(), replace(terminal, err=err), on_time()[0]) == OK
    assert "\rRUNNING  1 s  [##########..........] 1/2 parts, 10 rows, 1.0 MB/s" in err.getvalue()
    printed = [line.rpartition("\r")[2] for line in err.getvalue().split("\n")]
    assert printed[:4] == ["RUNNING", "INFO a", "INFO b", "SUCCESS"]
    assert not [line for line in printed if "parts" in line]


def test_rotated_files_are_read_on_to_the_new_one(s3: Client) -> None:
    running, ended = job_run("RUNNING"), job_run("SUCCESS")
    client, _ = answering(running, running, running, ended, ended)
    put_log(s3, "SPARK_DRIVER/stdout", "one\n")

    def rotate() -> None:
        put_log(s3, "SPARK_DRIVER/archived/stdout_1", "one\ntwo\n")
        put_log(s3, "SPARK_DRIVER/stdout", "three\n")

    terminal, out, _ = console()
    wait(Clients(client, s3), started(), WaitOptions(), terminal, on_time([rotate])[0])
    assert out.getvalue() == "one\ntwo\nthree\n"


def test_each_attempts_logs_are_shown(s3: Client) -> None:
    policy = {"retryPolicy": {"maxAttempts": 2}}
    first, second = job_run("RUNNING", attempt=1, **policy), job_run("RUNNING", attempt=2, **policy)
    ended = job_run("SUCCESS", attempt=2, **policy)
    client, _ = answering(first, second, second, ended, ended)
    put_log(s3, "attempts/1/SPARK_DRIVER/stdout", "first try\n")

    def second_try() -> None:
        put_log(s3, "attempts/1/SPARK_DRIVER/stdout", "first try\nlost")  # S3 has its end when the next one runs
        put_log(s3, "attempts/2/SPARK_DRIVER/stdout", "second try\n")

    terminal, out, err = console()
    wait(Clients(client, s3), started(), WaitOptions(), terminal, on_time([print, second_try])[0])
    assert out.getvalue() == "first try\nlostsecond try\n"
    assert "attempt 2 of 2\n" in err.getvalue()


def test_a_failure_is_told_reason_first_with_a_hint(s3: Client) -> None:
    failed = job_run("FAILED", stateDetails="Job failed, exit code 1.")
    client, _ = answering(failed, failed)
    put_log(s3, "SPARK_DRIVER/stderr", "INFO a\nerror: No server answers at db:5432: timed out.\n")
    terminal, _, err = console()
    assert wait(Clients(client, s3), started(), WaitOptions(shown=()), terminal, on_time()[0]) == FAILED
    told = err.getvalue()
    places = [
        told.index(words)
        for words in ("FAILED: Job failed", "  error: No server", "hint: The database cannot be reached")
    ]
    assert places == sorted(places)


def test_logs_that_may_not_be_read_do_not_end_the_wait(s3: Client) -> None:
    ended = job_run("SUCCESS")
    client, _ = answering(job_run("RUNNING"), ended, ended)
    s3.delete_bucket(Bucket="logs-bucket")
    terminal, _, err = console()
    assert wait(Clients(client, s3), started(), WaitOptions(), terminal, on_time()[0]) == OK
    assert err.getvalue().count("The logs cannot be read. AWS refuses ListObjectsV2") == 1


def test_a_run_without_logs_in_s3_says_where_else_they_are(s3: Client) -> None:
    elsewhere = {
        "configurationOverrides": {"monitoringConfiguration": {"cloudWatchLoggingConfiguration": {"enabled": True}}}
    }
    ended = job_run("SUCCESS", **elsewhere)
    client, stubber = emr()
    stubber.add_client_error("get_application", "AccessDeniedException")
    stubber.add_response("get_job_run", ended)
    stubber.add_response("get_job_run", ended)
    terminal, _, err = console()
    clock, slept = on_time()
    assert wait(Clients(client, s3), started(**elsewhere), WaitOptions(), terminal, clock) == OK
    assert f"aws logs tail /aws/emr-serverless --log-stream-name-prefix /applications/{APPLICATION}" in err.getvalue()
    assert slept == []


def test_a_hiccup_of_aws_does_not_end_the_wait(s3: Client) -> None:
    client, stubber = answering(job_run("RUNNING"))
    stubber.add_client_error("get_job_run", "ThrottlingException", "Rate exceeded", 429)
    stubber.add_client_error("get_job_run", "InternalServerException", "", 500)
    for _ in range(2):
        stubber.add_response("get_job_run", job_run("CANCELLED"))
    terminal, _, err = console()
    assert wait(Clients(client, s3), started(), WaitOptions(), terminal, on_time()[0]) == CANCELLED
    assert err.getvalue().count("Waiting on.") == 1


def test_a_refusal_ends_the_wait_and_says_that_the_run_goes_on(s3: Client) -> None:
    client, stubber = answering(job_run("RUNNING"))
    stubber.add_client_error("get_job_run", "ExpiredTokenException", "expired", 403)
    with pytest.raises(
        AwsError, match=r"credentials have expired(.|\n)*The run is still active(.|\n)*pgjobs logs --follow 00run"
    ):
        wait(Clients(client, s3), started(), WaitOptions(), console()[0], on_time()[0])


def test_an_end_that_is_known_counts_though_its_cost_is_refused(s3: Client) -> None:
    client, stubber = answering(job_run("SUCCESS"))
    stubber.add_client_error("get_job_run", "ExpiredTokenException", "expired", 403)
    assert wait(Clients(client, s3), started(), WaitOptions(), console()[0], on_time()[0]) == OK


def test_the_deadline_leaves_the_run_going_with_a_status_of_its_own(s3: Client) -> None:
    client, _ = answering(*[job_run("RUNNING")] * 20)
    terminal, _, err = console()
    clock, slept = on_time()
    assert wait(Clients(client, s3), started(), WaitOptions(minutes=1), terminal, clock) == STILL_GOING
    assert sum(slept) == 60
    assert "pgjobs cancel 00run --application-id 00app --region eu-west-1\n" in err.getvalue()


@pytest.mark.parametrize("answers", [io.StringIO("y\n"), Terminal("n\n"), Terminal("\n"), Terminal("")])
def test_ctrl_c_without_a_yes_from_a_person_leaves_the_run_going(s3: Client, answers: io.StringIO) -> None:
    client, stubber = answering(job_run("RUNNING"))
    terminal, _, err = console(answers)
    assert wait(Clients(client, s3), started(), WaitOptions(), terminal, on_time([interrupt])[0]) == INTERRUPTED
    assert "The run is still active" in err.getvalue()
    stubber.assert_no_pending_responses()


class SecondCtrlC(Terminal):
    """A person who presses Ctrl-C again when asked."""

    def readline(self, *_: object) -> str:  # type: ignore[override] # typeshed has bytes here, in a class of texts
        raise KeyboardInterrupt


def test_a_second_ctrl_c_leaves_the_run_going(s3: Client) -> None:
    client, _ = answering(job_run("RUNNING"))
    clock, _ = on_time([interrupt])
    assert wait(Clients(client, s3), started(), WaitOptions(), console(SecondCtrlC())[0], clock) == INTERRUPTED


@pytest.mark.parametrize(("release", "given"), [("emr-7.9.0", {"shutdownGracePeriodInSeconds": 60}), ("emr-7.8.0", {})])
def test_ctrl_c_and_yes_cancels_with_a_grace_period_and_waits_for_the_end(
    s3: Client, release: str, given: dict[str, int]
) -> None:
    client, stubber = answering(job_run("RUNNING"))
    stubber.add_response("cancel_job_run", ASKED, {**ASKED, **given})
    for state in ("CANCELLING", "CANCELLED", "CANCELLED"):
        stubber.add_response("get_job_run", job_run(state))
    terminal, _, err = console(Terminal("y\n"))
    clock, _ = on_time([interrupt])
    assert wait(Clients(client, s3), started(releaseLabel=release), WaitOptions(grace=60), terminal, clock) == CANCELLED
    assert "Cancel the run? [y/N] cancelling 00run" in err.getvalue()
    stubber.assert_no_pending_responses()


def test_a_cancellation_that_is_refused_says_that_the_run_goes_on(s3: Client) -> None:
    client, stubber = answering(job_run("RUNNING"))
    stubber.add_client_error("cancel_job_run", "AccessDeniedException", "no", 403)
    clock, _ = on_time([interrupt])
    with pytest.raises(AwsError, match=r"Grant emr-serverless:CancelJobRun\.\nThe run is still active\."):
        wait(Clients(client, s3), started(), WaitOptions(), console(Terminal("y\n"))[0], clock)


def test_ctrl_c_while_cancelling_does_not_ask_again(s3: Client) -> None:
    client, stubber = answering(job_run("RUNNING"))
    stubber.add_response("cancel_job_run", ASKED)
    stubber.add_response("get_job_run", job_run("CANCELLING"))
    events: list[Callable[[], None]] = [interrupt, interrupt]
    terminal, _, err = console(Terminal("y\ny\n"))
    assert wait(Clients(client, s3), started(), WaitOptions(), terminal, on_time(events)[0]) == INTERRUPTED
    assert err.getvalue().endswith("Not waiting for its end.\n")
