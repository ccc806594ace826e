"""infra/template.yaml allows what is called, and nothing that is not.

The commands and the job's logins are run, and their calls recorded. What EMR and Spark's S3A call is spark_calls.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from aws_calls import REGION, Call, asked, recorded
from botocore.awsrequest import AWSResponse
from botocore.model import OperationModel
from emr_runs import APPLICATION, ROLE, RUN, Client, archive_with, console, job_run, manifest_of, on_time, put_log
from iam import Request, applies, grants, is_allowed
from our_stack import NETWORK, SECRET, STACK, SWITCHES, WHOLE_BUCKETS, Stack, key
from spark_calls import CODE, LOGS, OF_EXTRACTS, OF_LOADS, OF_SPARK, READ, kms, listing, s3_call

from jobs.aws import clients as job_clients
from jobs.aws.credentials import Parameter, RdsToken, Secret
from jobs.dbaccess.conninfo.settings import Login
from pgjobs.aws import Clients
from pgjobs.cli.commands import run
from pgjobs.cli.options import parse
from pgjobs.errors import OK
from pgjobs.runs.run import read_run
from pgjobs.runs.wait import WaitOptions, wait

# The commands, run.

ANSWERS: Mapping[str, Any] = {
    "StartJobRun": {"applicationId": APPLICATION, "jobRunId": RUN, "arn": f"arn:aws:emr-serverless:{REGION}:1:/x"},
    # Without a place for logs of its own: the application is asked for one.
    "GetJobRun": job_run("SUCCESS", attempt=2, configurationOverrides={}),
    "ListJobRunAttempts": {"jobRunAttempts": [job_run("SUCCESS")["jobRun"]]},
    "ListJobRuns": {"jobRuns": [job_run("SUCCESS")["jobRun"]]},
    "CancelJobRun": {},
    "GetDashboardForJobRun": {"url": "https://example.com"},
    "GetApplication": {
        "application": {
            "applicationId": APPLICATION,
            "releaseLabel": "emr-7.9.0",
            "architecture": "X86_64",
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://logs-bucket/logs/"}},
        }
    },
}


def emr(changed: Mapping[str, Any]) -> Client:
    """EMR Serverless, of which moto lacks a part, with an answer for each operation."""
    answers = {**ANSWERS, **changed}

    def answer(model: OperationModel, **_: object) -> tuple[AWSResponse, Any]:
        return AWSResponse("https://emr", 200, {}, None), answers[model.name]

    client = boto3.client("emr-serverless", region_name=REGION)
    client.meta.events.register("before-call.emr-serverless", answer)
    return client


Commanding = Callable[..., None]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    with recorded(monkeypatch) as noted:
        yield noted


@pytest.fixture
def command(tmp_path: Path, s3: Client) -> Commanding:
    """Gives a command."""
    archive = archive_with(tmp_path, load_table="print('packed')")
    manifest_of(archive)
    put_log(s3, "attempts/2/SPARK_DRIVER/stdout", "1 row\n")
    put_log(s3, "attempts/2/SPARK_EXECUTOR/1/stdout", "a part\n")
    prepared = {"submit": ["load_table", "--archive", str(archive), "--role", ROLE, "--code", "s3://code-bucket/code"]}

    def give(words: Sequence[str], **changed: object) -> None:
        name, *flags = words
        given = [name, *prepared.get(name, [RUN] if name != "list" else []), "--application-id", APPLICATION, *flags]
        reached = Clients(emr(changed), boto3.client("s3", region_name=REGION))
        assert run(parse(given, {}), lambda: reached, console()[0]) == OK

    return give


JOB = ["--", "--source", "s3://data/orders/", "--table", "t", "--load-id", "1"]
SUBMIT = ["submit", "--tag", "team=shop", "--logs", "s3://logs-bucket/logs", "--log-key", key("logs"), *JOB]
COMMANDS = [SUBMIT, ["status"], ["logs"], ["logs", "--executor", "1"], ["cancel"], ["list"], ["dashboard"]]


def watch(s3: Client) -> None:
    """What `submit --wait`, `logs --follow` and `cancel --wait` do, on a clock that does not wait."""
    run_before = read_run(job_run("RUNNING", configurationOverrides={}))
    assert wait(Clients(emr({}), s3), run_before, WaitOptions(), console()[0], on_time()[0]) == OK


def submitters_calls(calls: list[Call], command: Commanding) -> list[Call]:
    """The calls of all commands, and of the example for Airflow."""
    calls.clear()  # what set the scene
    for words in COMMANDS:
        command(words)
    command(SUBMIT)  # what is there already
    command(["cancel"], GetJobRun=job_run("RUNNING"))
    watch(boto3.client("s3", region_name=REGION))
    # Airflow's EmrServerlessStartJobOperator starts an application that has stopped.
    return [*calls, Call("emr-serverless", "StartApplication", {"applicationId": APPLICATION})]


def test_every_call_of_a_command_has_its_permission_and_every_permission_its_call(
    calls: list[Call], command: Commanding
) -> None:
    made = submitters_calls(calls, command)
    assert {"HeadObject", "PutObject", "GetObject", "ListObjectsV2", "StartJobRun", "CancelJobRun"} <= {
        call.operation for call in made
    }
    requests = [request for call in made for request in asked(call)]
    assert [request for request in requests if not STACK.lets_submitter(request)] == []
    assert unused(STACK.submitter, requests) == []


def unused(statements: Sequence[Mapping[str, Any]], requests: Sequence[Request]) -> list[tuple[str, str]]:
    return [
        (grant["Action"], grant["Resource"])
        for grant in grants(statements)
        if not any(applies(grant, request) for request in requests)
    ]


# The job.

LOGIN = Login(f"shop.abc123.{REGION}.rds.amazonaws.com", 5432, "loader", "shop")


def login_calls(calls: list[Call]) -> list[Call]:
    """The job's logins, run; and what Secrets Manager and SSM ask of KMS in its name."""
    boto3.client("ssm", region_name=REGION).put_parameter(Name="/shop/password", Value="x", Type="SecureString")
    secret = boto3.client("secretsmanager", region_name=REGION).create_secret(Name="shop/loader", SecretString="x")
    job_clients.client.cache_clear()
    calls.clear()
    list(Secret(secret["ARN"], REGION)())
    list(Parameter("/shop/password", REGION)())
    token = parse_qs(urlsplit("//" + RdsToken()(LOGIN)).query)
    job_clients.client.cache_clear()
    made = [
        # moto draws the last characters of an ARN.
        call._replace(parameters={**call.parameters, "SecretId": SECRET}) if "SecretId" in call.parameters else call
        for call in calls
    ]
    # RDS asks IAM when the token is shown. Its resource is the instance's id, which no client knows.
    assert token["Action"] == ["connect"]
    made.append(Call("rds", "connect", {"resource": "db-ABC", "user": token["DBUser"][0]}))
    return made + [Call("kms", "Decrypt", {"KeyId": key("secret"), "via": via}) for via in ("secretsmanager", "ssm")]


@pytest.mark.usefixtures("account")
def test_every_call_of_a_job_has_its_permission_and_every_permission_its_call(calls: list[Call]) -> None:
    made = [*login_calls(calls), *OF_SPARK]
    requests = [request for call in made for request in asked(call)]
    assert [request for request in requests if not STACK.lets_job(request)] == []
    assert unused(STACK.job, requests) == []
    # An endpoint for each service that is called, and no other: others ask KMS, and the database's port asks RDS.
    assert {call.service for call in made} - {"kms", "rds"} == set(SWITCHES.values())


def test_whole_buckets_may_be_read_and_written_where_no_folder_is_named() -> None:
    whole = Stack(WHOLE_BUCKETS)
    made = [call for call in [*OF_LOADS, *OF_EXTRACTS, listing("data", "")] if call.service != "kms"]
    requests = [request for call in made for request in asked(call)]
    assert [request for request in requests if not whole.lets_job(request)] == []


@pytest.mark.parametrize(
    "call",
    [
        s3_call("GetObject", "data", "orders-of-others/part-0.parquet"),
        s3_call("GetObject", "elsewhere", READ),
        s3_call("PutObject", "data", READ),
        s3_call("DeleteObject", "data", READ),
        s3_call("PutObject", "lake", "out/orders-of-others/x"),
        s3_call("DeleteObject", "lake", "out/x"),
        listing("data", ""),
        listing("data", "secret/"),
        s3_call("PutObject", "code-bucket", CODE),
        s3_call("PutObject", "code-bucket", CODE, IfNoneMatch="*"),
        s3_call("GetObject", "logs-bucket", LOGS),
        *kms("data", "GenerateDataKey"),
        *kms("data", "Decrypt", via="secretsmanager"),
        *kms("secret", "Decrypt", via="s3"),
        Call("rds", "connect", {"resource": "db-ABC", "user": "postgres"}),
        Call("logs", "CreateLogGroup", {"logGroupName": "/aws/lambda/other"}),
        Call("emr-serverless", "StartJobRun", {"applicationId": APPLICATION, "executionRoleArn": ROLE}),
    ],
    ids=lambda call: "-".join([call.operation, *map(str, call.parameters.values())]),
)
def test_a_job_may_not(call: Call) -> None:
    assert not all(STACK.lets_job(request) for request in asked(call))


def test_a_job_without_a_bucket_for_extracts_writes_logs_alone() -> None:
    writing = ("s3:Put", "s3:Delete", "s3:Abort")
    written = {grant["Resource"] for grant in grants(Stack(NETWORK).job) if grant["Action"].startswith(writing)}
    assert written == {"arn:aws:s3:::logs-bucket/logs/*"}


@pytest.mark.parametrize(
    "call",
    [
        s3_call("PutObject", "code-bucket", CODE),
        s3_call("PutObject", "code-bucket", CODE, IfMatch='"of what is there"'),
        s3_call("CopyObject", "code-bucket", CODE, CopySource={"Bucket": "code-bucket", "Key": "code/other"}),
        s3_call("PutObject", "code-bucket", "elsewhere", IfNoneMatch="*"),
        s3_call("DeleteObject", "code-bucket", CODE),
        s3_call("PutObject", "logs-bucket", LOGS, IfNoneMatch="*"),
        s3_call("GetObject", "data", READ),
        Call("emr-serverless", "StartJobRun", {"applicationId": "other", "executionRoleArn": ROLE}),
        Call("emr-serverless", "StartJobRun", {"applicationId": APPLICATION, "executionRoleArn": f"{ROLE}-of-admins"}),
    ],
    ids=lambda call: "-".join([call.operation, *map(str, call.parameters.values())]),
)
def test_a_submitter_may_not(call: Call) -> None:
    assert not all(STACK.lets_submitter(request) for request in asked(call))


def test_nobody_replaces_released_code_and_all_may_add_some_who_may_write() -> None:
    """Administrators, too: their policies allow everything, and the bucket's denies."""
    everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    [replacing] = asked(s3_call("PutObject", "code-bucket", CODE))
    [adding] = asked(s3_call("PutObject", "code-bucket", CODE, IfNoneMatch="*"))
    [a_part] = asked(s3_call("CreateMultipartUpload", "code-bucket", CODE))
    decided = [is_allowed(request, everything, STACK.buckets) for request in (replacing, adding, a_part)]
    assert decided == [False, True, True]


def test_buckets_are_reached_by_tls_alone() -> None:
    everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    for bucket in ("code-bucket", "logs-bucket"):
        for request in (
            Request("s3:GetObject", f"arn:aws:s3:::{bucket}/x"),
            Request("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        ):
            decided = [
                is_allowed(request.with_context(aws__SecureTransport=tls), everything, STACK.buckets)
                for tls in ("true", "false")
            ]
            assert decided == [True, False]


def test_the_evaluator_reads_policies_as_iam_does() -> None:
    allow = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:b/*", "Condition": {"StringLike": {"k": ["a*"]}}}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "arn:b/secret"}
    within, without = Request("s3:GetObject", "arn:b/x", {"k": "ab"}), Request("s3:GetObject", "arn:b/x")
    assert is_allowed(within, [allow])
    assert is_allowed(within, [allow], [deny])
    for request in (
        without,
        Request("s3:GetObject", "arn:b/x", {"k": "b"}),
        Request("s3:PutObject", "arn:b/x", {"k": "a"}),
        Request("s3:GetObject", "arn:c/x", {"k": "a"}),
        Request("s3:GetObject", "arn:b/secret", {"k": "a"}),
    ):
        assert not is_allowed(request, [allow], [deny])
    with pytest.raises(KeyError):
        is_allowed(within, [{**allow, "Condition": {"NumericEquals": {"k": "1"}}}])
