"""The commands as a person gives them: from the command line to AWS and back to an exit status."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from emr_runs import (
    APPLICATION,
    CREATED,
    CREDENTIALS,
    REGION,
    ROLE,
    RUN,
    Client,
    archive_with,
    console,
    emr,
    job_run,
    manifest_of,
    put_log,
)
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.emrserverless.models import emrserverless_backends

from pgjobs.__main__ import main
from pgjobs.aws import Clients
from pgjobs.cli.commands import run
from pgjobs.cli.options import parse
from pgjobs.errors import FAILED, OK, WRONG_USAGE, PassingError
from pgjobs.submit.request import client_token
from pgjobs.submit.start import describe, prepare, start

JOB = ["--", "--source", "s3://data/a b,c", "--table", "t", "--load-id", "1"]


@pytest.fixture
def submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The flags of a submission, all but the application's; the working directory has no pyproject.toml."""
    monkeypatch.chdir(tmp_path)
    archive = archive_with(tmp_path, load_table="print('packed')")
    manifest_of(archive)
    return ["submit", "load_table", "--archive", str(archive), "--role", ROLE, "--code", "s3://code-bucket/code"]


@pytest.fixture
def application(s3: Client) -> str:  # noqa: ARG001 - the account comes first
    """An application, and its id."""
    client = boto3.client("emr-serverless", region_name=REGION)
    return str(client.create_application(name="jobs", type="SPARK", releaseLabel="emr-7.9.0")["applicationId"])


def command(words: Sequence[str]) -> tuple[int, str, str]:
    """Give a command; the exit status, what it prints and what it tells."""
    terminal, out, err = console()
    return main(words, CREDENTIALS, terminal), out.getvalue(), err.getvalue()


def test_a_dry_run_prints_the_request_and_calls_nothing(submission: list[str], s3: Client) -> None:
    status, printed, _ = command([*submission, "--application-id", APPLICATION, "--dry-run", *JOB])
    request = json.loads(printed)
    assert status == OK
    assert request["jobDriver"]["sparkSubmit"]["entryPointArguments"] == JOB[1:]
    assert "Contents" not in s3.list_objects_v2(Bucket="code-bucket")


def test_a_dry_run_needs_neither_credentials_nor_a_profile_nor_a_region(
    submission: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    status, printed, _ = command([*submission, "--application-id", APPLICATION, "--dry-run", *JOB])
    assert (status, printed[:1]) == (OK, "{")


def test_a_submission_uploads_once_and_starts_the_run_that_the_dry_run_printed(
    submission: list[str], application: str, s3: Client
) -> None:
    flags = [*submission, "--application-id", application]
    request = json.loads(command([*flags, "--dry-run", *JOB])[1])
    status, printed, told = command([*flags, *JOB])
    assert (status, told.count("uploaded  ")) == (OK, 3)
    assert command([*flags, *JOB])[2].count("there already  ") == 3
    keys = {item["Key"].rpartition("/")[2] for item in s3.list_objects_v2(Bucket="code-bucket")["Contents"]}
    assert keys == {"load_table.py", "pyspark_venv.tar.gz", "pyspark_venv.tar.gz.json"}
    made = emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION].get_job_run(application, printed.strip())
    assert made.job_driver == request["jobDriver"]
    assert made.client_token == request["clientToken"]


def test_wait_follows_the_run_to_an_exit_status_of_its_own(submission: list[str], application: str) -> None:
    """Moto's run is SUCCESS at once, so the run is made to fail between two commands."""
    _, printed, _ = command([*submission, "--application-id", application, *JOB])
    made = emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION].get_job_run(application, printed.strip())
    made.state, made.state_details = "FAILED", "vCPU quota exceeded"
    status, _, told = command(["logs", printed.strip(), "--application-id", application, "--follow"])
    assert status == FAILED
    assert "FAILED: vCPU quota exceeded" in told
    assert "hint: Not enough vCPU" in told


NIGHTLY = ["--", "--table", "t", "--target", "s3://data/t", "--ordinal-column", "c", "--watermark-id", "w"]


def test_each_nights_extract_is_a_run_of_its_own(submission: list[str], application: str) -> None:
    """Moto starts a run for each call; EMR, for each token."""
    flags = ["submit", "extract_table", *submission[2:], "--application-id", application]
    archive = Path(submission[3])
    manifest_of(archive_with(archive.parent, extract_table="print('packed')"))
    runs = [command([*flags, *NIGHTLY])[1].strip() for _ in range(2)]
    made = [emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION].get_job_run(application, run) for run in runs]
    assert made[0].client_token != made[1].client_token
    assert "clientToken" not in json.loads(command([*flags, "--dry-run", *NIGHTLY])[1])


def test_again_starts_a_load_again_by_a_token_of_its_own(submission: list[str], application: str) -> None:
    flags = [*submission, "--application-id", application]
    runs = [command([*flags, *again, *JOB])[1].strip() for again in ([], [], ["--again"], ["--again"])]
    made = [emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION].get_job_run(application, run) for run in runs]
    tokens = [run.client_token for run in made]
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3


DATE = {"ResponseMetadata": {"HTTPHeaders": {"date": "Fri, 20 Nov 2026 10:30:00 GMT"}}}
"""Of an answer, 90 minutes after CREATED."""


def answer(run: str = RUN) -> dict[str, object]:
    """An answer of StartJobRun."""
    return {"applicationId": APPLICATION, "jobRunId": run, "arn": job_run("FAILED")["jobRun"]["arn"], **DATE}


@pytest.mark.parametrize(
    ("state", "told"), [("SUCCESS", "It has ended: SUCCESS: done."), ("RUNNING", "It is RUNNING.")]
)
def test_the_same_load_is_the_same_run_while_that_goes_on_and_after_its_success(
    submission: list[str], s3: Client, state: str, told: str
) -> None:
    client, stubber = emr()
    request, payload = prepare(parse([*submission, "--application-id", APPLICATION, *JOB], {}))
    stubber.add_response("start_job_run", answer(), request)
    stubber.add_response("get_job_run", job_run(state, stateDetails="done", createdAt=CREATED))
    started = start(Clients(client, s3), request, payload, console()[0])
    assert started.earlier
    assert describe(started, CREATED.replace(hour=10, minute=30)) == (
        f"This is the same run as before: 00run, submitted 1 h 30 min ago. {told} "
        "Nothing new was started; --again starts another."
    )


def test_a_load_that_failed_or_was_cancelled_is_tried_again_by_the_same_submission(
    submission: list[str], s3: Client
) -> None:
    """Each earlier run's id leads to the next token, so that two who try again at once start one run."""
    client, stubber = emr()
    request, payload = prepare(parse([*submission, "--application-id", APPLICATION, *JOB], {}))
    tokens = [request["clientToken"], client_token(request, "00first"), client_token(request, "00second")]
    created = {"00first": CREATED, "00second": CREATED, "00third": CREATED.replace(hour=10, minute=30)}
    for token, name, state in zip(tokens, created, ["FAILED", "CANCELLED", "SUBMITTED"]):
        stubber.add_response("start_job_run", answer(name), {**request, "clientToken": token})
        stubber.add_response("get_job_run", job_run(state, jobRunId=name, createdAt=created[name]))
    terminal, _, err = console()
    started = start(Clients(client, s3), request, payload, terminal)
    assert (started.run.run_id, started.earlier) == ("00third", False)
    assert "00first of the same submission has ended: FAILED. Trying again." in err.getvalue()
    stubber.assert_no_pending_responses()


def test_who_may_start_runs_but_not_look_at_them_is_told_the_id(submission: list[str], s3: Client) -> None:
    client, stubber = emr()
    stubber.add_response("start_job_run", answer())
    stubber.add_client_error("get_job_run", "AccessDeniedException", "no", 403)
    terminal, out, err = console()
    options = parse([*submission, "--application-id", APPLICATION, "--any-application", *JOB], {})
    assert run(options, lambda: Clients(client, s3), terminal) == OK
    assert out.getvalue() == f"{RUN}\n"
    assert "pgjobs status 00run --application-id 00app --region eu-west-1" in err.getvalue()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--conf", "spark.x"], "--conf must be of the form key=value"),
        (["--retries", "10"], "--retries must be from 0 to 9"),
        (["--logs", "bucket"], "'bucket' is not an S3 URI"),
        (["--tag", "a!=b"], "the key of --tag a! must look like"),
        (["--conf", "spark.archives=x"], "--conf spark.archives is set by the archive"),
        (["--archive", "none.tar.gz"], "There is no archive none.tar.gz: run pgjobs package."),
    ],
)
def test_what_cannot_be_right_is_told_before_any_call(submission: list[str], flags: list[str], told: str) -> None:
    status, printed, error = command([*submission, "--application-id", APPLICATION, *flags, *JOB])
    assert (status, printed) == (WRONG_USAGE, "")
    assert told in error
    assert error.startswith("error: ")


def test_an_application_that_is_not_there_is_told(submission: list[str], s3: Client) -> None:
    assert s3
    status, _, told = command([*submission, "--application-id", "00none", *JOB])
    assert status == FAILED
    assert "Check --application-id, the run's id and --region." in told


def test_a_bucket_that_is_not_there_is_named(submission: list[str], application: str) -> None:
    status, _, told = command([*submission, "--application-id", application, "--code", "s3://no-such-bucket/x", *JOB])
    assert status == FAILED
    assert "The specified bucket does not exist. There is no bucket no-such-bucket." in told


class Interrupted:
    """Clients of which one call is interrupted by Ctrl-C."""

    def __init__(self, client: Client, call: str) -> None:
        self._client, self._call = client, call

    def __getattr__(self, name: str) -> object:
        if name == self._call:
            raise KeyboardInterrupt
        return getattr(self._client, name)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("put_object", "Nothing was submitted. Uploaded files stay, and are not sent again."),
        ("start_job_run", "It is not known whether the run was started. To find out: pgjobs list"),
    ],
)
def test_ctrl_c_tells_what_was_submitted(submission: list[str], s3: Client, call: str, told: str) -> None:
    terminal, _, err = console()
    request, payload = prepare(parse([*submission, "--application-id", APPLICATION, *JOB], {}))
    clients = Clients(Interrupted(emr()[0], call), Interrupted(s3, call))  # type: ignore[arg-type] # as boto3's: any
    with pytest.raises(KeyboardInterrupt):
        start(clients, request, payload, terminal)
    assert told in err.getvalue()


def test_a_start_without_an_answer_tells_how_to_find_out_whether_there_is_a_run(
    submission: list[str], s3: Client
) -> None:
    """Without a load id, the same command again would be a second run."""
    request, payload = prepare(parse([*submission, "--application-id", APPLICATION, *JOB], {}))
    runs, stubber = emr()
    stubber.add_client_error("start_job_run", "InternalServerException", "Something went wrong.", 500)
    with stubber, pytest.raises(PassingError, match=r"went wrong\. Try again\. It is not known .* pgjobs list --app"):
        start(Clients(runs, s3), request, payload, console()[0])


def test_a_drawn_token_never_gives_an_earlier_run(submission: list[str], application: str) -> None:
    """Moto dates runs to midnight, so that each looks old; so would a clock of AWS's that is off."""
    archive = Path(submission[3])
    manifest_of(archive_with(archive.parent, extract_table="print('packed')"))
    told = command(["submit", "extract_table", *submission[2:], "--application-id", application, *NIGHTLY])[2]
    assert "the same run as before" not in told


def test_a_run_is_listed_shown_and_cancelled(submission: list[str], application: str) -> None:
    of_it = ["--application-id", application]
    name = command([*submission, *of_it, "--name", "orders", *JOB])[1].strip()
    _, listed, _ = command(["list", *of_it])
    assert listed.splitlines()[1].split()[:2] == [name, "SUCCESS"]
    assert command(["list", *of_it, "--state", "failed"])[1] == "No runs found.\n"
    shown = command(["status", name, *of_it])[1]
    assert "name         orders" in shown
    assert "billed: not known yet" in shown
    made = emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION].get_job_run(application, name)
    made.state = "RUNNING"
    assert command(["cancel", name, *of_it])[2] == f"cancelling {name}, which has 60 s to end\n"
    assert made.state in ("CANCELLING", "CANCELLED")
    made.state = "CANCELLED"
    assert command(["cancel", name, *of_it])[2] == "It has ended: CANCELLED.\n"


def stubbed(words: Sequence[str], client: Client, s3: Client = None) -> tuple[int, str]:
    """Give a command to a stubbed service; the exit status, and what it prints."""
    terminal, out, _ = console()
    status = run(parse([*words, "--application-id", APPLICATION], {}), lambda: Clients(client, s3), terminal)
    return status, out.getvalue()


def test_attempts_are_listed_from_all_pages(s3: Client) -> None:
    client, stubber = emr()
    found = job_run("RUNNING", attempt=3, retryPolicy={"maxAttempts": 3})
    stubber.add_response("get_job_run", found)
    tried = {**found["jobRun"], "id": RUN, "jobCreatedAt": CREATED, "state": "FAILED", "stateDetails": "lost executor"}
    for name in ("jobRunId", "jobDriver", "configurationOverrides", "retryPolicy"):
        del tried[name]
    asked = {"applicationId": APPLICATION, "jobRunId": RUN}
    pages = [
        {"jobRunAttempts": [{**tried, "attempt": 1}], "nextToken": "x"},
        {"jobRunAttempts": [{**tried, "attempt": 2}]},
    ]
    stubber.add_response("list_job_run_attempts", pages[0], asked)
    stubber.add_response("list_job_run_attempts", pages[1], {**asked, "nextToken": "x"})
    _, printed = stubbed(["status", RUN], client, s3)
    assert printed.count("lost executor") == 2


def test_the_dashboard_of_an_attempt_is_a_url() -> None:
    client, stubber = emr()
    asked = {"applicationId": APPLICATION, "jobRunId": RUN, "attempt": 2}
    stubber.add_response("get_dashboard_for_job_run", {"url": "https://spark.example/x"}, asked)
    assert stubbed(["dashboard", RUN, "--attempt", "2"], client) == (OK, "https://spark.example/x\n")


def test_an_executors_logs_can_be_printed(s3: Client) -> None:
    client, stubber = emr()
    stubber.add_response("get_job_run", job_run("RUNNING"))
    put_log(s3, "SPARK_EXECUTOR/2/stdout", "from executor 2, unfinished")
    assert stubbed(["logs", RUN, "--executor", "2"], client, s3) == (OK, "from executor 2, unfinished")


def test_no_credentials_are_told_without_waiting(submission: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*CREDENTIALS, "AWS_PROFILE"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    status, _, told = command([*submission, "--application-id", APPLICATION, "--region", REGION, *JOB])
    assert (status, told.splitlines()[-1][:35]) == (WRONG_USAGE, "error: Unable to locate credentials")


def test_answers_are_json_documents(submission: list[str], application: str) -> None:
    of_it = ["--application-id", application, "--json"]
    started = json.loads(command([*submission, *of_it, *JOB])[1])
    run_id = started["run_id"]
    assert (started["application_id"], started["state"]) == (application, "SUCCESS")
    assert [one["run_id"] for one in json.loads(command(["list", *of_it])[1])["runs"]] == [run_id]
    shown = json.loads(command(["status", run_id, *of_it])[1])
    assert (shown["ended"], shown["attempts"], shown["created"][:4]) == (True, [], started["created"][:4])
    assert json.loads(command(["cancel", run_id, *of_it])[1])["state"] == "SUCCESS"


def test_the_job_of_a_submission_that_waits_leaves_stdout_to_the_answer(submission: list[str], s3: Client) -> None:
    client, stubber = emr()
    stubber.add_response("start_job_run", answer())
    for _ in range(3):
        stubber.add_response("get_job_run", job_run("SUCCESS"))
    put_log(s3, "SPARK_DRIVER/stdout", "loaded 3 rows\n")
    terminal, out, err = console()
    words = [*submission, "--application-id", APPLICATION, "--any-application", "--wait", "--json", *JOB]
    terminal = replace(terminal, as_json=True)
    assert run(parse(words, {}), lambda: Clients(client, s3), terminal) == OK
    assert json.loads(out.getvalue())["state"] == "SUCCESS"
    assert "loaded 3 rows" in err.getvalue()


def test_files_beside_the_archive_are_uploaded_once_and_are_in_the_run(
    submission: list[str], application: str, s3: Client
) -> None:
    Path("helpers.py").write_text("RATE = 2\n")
    flags = [*submission, "--application-id", application, "--py-files", "helpers.py"]
    _, printed, told = command([*flags, *JOB])
    [key] = [item["Key"] for item in s3.list_objects_v2(Bucket="code-bucket")["Contents"] if "/files/" in item["Key"]]
    assert s3.get_object(Bucket="code-bucket", Key=key)["Body"].read() == b"RATE = 2\n"
    assert f"uploaded       s3://code-bucket/{key}" in told
    assert f"there already  s3://code-bucket/{key}" in command([*flags, *JOB])[2]
    made = emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION].get_job_run(application, printed.strip())
    parameters = json.dumps(made.job_driver)
    assert f"--conf spark.submit.pyFiles=s3://code-bucket/{key}" in parameters


def test_a_request_can_be_made_ready_for_others_to_send_without_a_run(
    submission: list[str], application: str, s3: Client
) -> None:
    flags = ["request", *submission[1:], "--application-id", application]
    status, printed, told = command([*flags, "--upload", *JOB])
    assert (status, told.count("uploaded  ")) == (OK, 3)
    assert json.loads(printed) == json.loads(command([*flags, *JOB])[1])
    script = json.loads(printed)["jobDriver"]["sparkSubmit"]["entryPoint"].removeprefix("s3://code-bucket/")
    assert s3.get_object(Bucket="code-bucket", Key=script)["Body"].read() == b"print('packed')"
    assert not emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION].job_runs.get(application)
    assert command([*flags, "--upload", "--cli", *JOB])[0] == WRONG_USAGE


AWS = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
for word; do test "$before" != --body || cp "$word" "$SENT"; before=$word; done
test "$2" != head-object
"""
"""In place of the AWS CLI: notes each call, and keeps the bodies; no object exists yet."""


@pytest.mark.parametrize("entry", ["load_table", "own.py"])
def test_a_request_can_be_sent_by_the_aws_cli_alone(submission: list[str], tmp_path: Path, entry: str) -> None:
    (tmp_path / "own.py").write_text("print('own')")
    (tmp_path / "helpers.py").write_text("print('helping')")
    flags = [entry, *submission[2:], "--application-id", APPLICATION, "--py-files", "helpers.py"]
    status, printed, _ = command(["request", *flags, "--cli", *JOB])
    assert status == OK
    (tmp_path / "aws").write_text(AWS)
    (tmp_path / "aws").chmod(0o755)
    (tmp_path / "load_table.py").write_text("somebody's own file")
    (tmp_path / "sent").mkdir()
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CALLS": str(tmp_path / "calls"), "SENT": str(tmp_path / "sent")}
    subprocess.run(["/bin/sh", "-c", printed], cwd=tmp_path, env=environ, check=True)
    *uploads, start_call = (tmp_path / "calls").read_text().splitlines()
    bodies = [Path(words[words.index("--body") + 1]) for words in map(str.split, uploads) if "--body" in words]
    assert [body.name for body in bodies] == [
        *("helpers.py", "pyspark_venv.tar.gz.json", f"{entry.removesuffix('.py')}.py", "pyspark_venv.tar.gz")
    ]
    sent_files = {path.name: path.read_bytes() for path in (tmp_path / "sent").iterdir()}
    assert sent_files["helpers.py"] == b"print('helping')"
    assert sent_files[bodies[2].name] == (b"print('own')" if entry == "own.py" else b"print('packed')")
    assert (tmp_path / "load_table.py").read_text() == "somebody's own file"
    assert not [body for body in bodies if body.parent.name.startswith("tmp.") and body.exists()]
    assert all("--if-none-match *" in call for call in uploads if "put-object" in call)
    sent = json.loads(start_call.partition(" --cli-input-json ")[2])
    assert sent == json.loads(command(["request", *flags, *JOB])[1])
    assert sent == json.loads(command(["submit", *flags, "--dry-run", *JOB])[1])
