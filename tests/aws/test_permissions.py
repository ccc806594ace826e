"""infra/template.yaml allows what is called, and nothing that is not.

The commands and the job's logins are run, and their calls recorded. What EMR and Spark's S3A call is written down here:
neither runs on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from aws_calls import ACCOUNT, REGION, Call, asked, recorded
from botocore.awsrequest import AWSResponse
from botocore.model import OperationModel
from cfnlint.decode import decode
from emr_runs import APPLICATION, ROLE, RUN, Client, archive_with, console, job_run, manifest_of, on_time, put_log
from iam import Request, applies, grants, is_allowed
from stack import stack

from deploy.aws import Clients
from deploy.commands import run
from deploy.errors import OK
from deploy.options import parse
from deploy.runs import read_run
from deploy.wait import Patience, wait
from jobs.aws import clients as job_clients
from jobs.aws.credentials import Parameter, RdsToken, Secret
from jobs.dbaccess.settings import Login

TEMPLATE: Mapping[str, Any] = decode(str(Path(__file__).parents[2] / "infra" / "template.yaml"))[0] or {}


def key(name: str) -> str:
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"


SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:shop/loader-AbCdEf"
NETWORK = {"VpcId": "vpc-1", "VpcCidr": "10.0.0.0/16", "SubnetIds": "subnet-1", "DatabaseSecurityGroupId": "sg-1"}
WHOLE_BUCKETS = {**NETWORK, "DataBucket": "data", "ExtractBucket": "lake"}
EVERYTHING = {
    **WHOLE_BUCKETS,
    "DataPrefix": "orders",
    "DataKeyArn": key("data"),
    "ExtractPrefix": "out/orders",
    "ExtractKeyArn": key("lake"),
    "SecretArn": SECRET,
    "SecretKeyArn": key("secret"),
    "ParameterArn": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/password",
    "DatabaseResourceId": "db-ABC",
    "LogKeyArn": key("logs"),
    "CreateS3Endpoint": "true",
    "RouteTableIds": "rtb-1",
}
LOG_GROUPS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group"
NAMES = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "pgjobs",
    "Application": APPLICATION,
    "CodeBucket": "code-bucket",
    "CodeBucket.Arn": "arn:aws:s3:::code-bucket",
    "LogBucket": "logs-bucket",
    "LogBucket.Arn": "arn:aws:s3:::logs-bucket",
    "LogGroup.Arn": f"{LOG_GROUPS}:/aws/emr-serverless/pgjobs:*",
    "JobRole.Arn": ROLE,
}


class Stack:
    """The policies of a stack."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.resources = stack(TEMPLATE, parameters, NAMES)
        self.submitter = self._document("SubmitterPolicy")
        [inline] = self.resources["JobRole"]["Properties"]["Policies"]
        self.job = list(inline["PolicyDocument"]["Statement"])
        for body in self.resources.values():
            if body["Type"] == "AWS::IAM::RolePolicy":
                assert body["Properties"]["RoleName"] == "JobRole"
                self.job += body["Properties"]["PolicyDocument"]["Statement"]
        self.buckets = [*self._document("CodeBucketPolicy"), *self._document("LogBucketPolicy")]

    def _document(self, name: str) -> list[Any]:
        return list(self.resources[name]["Properties"]["PolicyDocument"]["Statement"])

    def lets_submitter(self, request: Request) -> bool:
        return is_allowed(request, self.submitter, self.buckets)

    def lets_job(self, request: Request) -> bool:
        return is_allowed(request, self.job, self.buckets)


STACK = Stack(EVERYTHING)


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
    assert wait(Clients(emr({}), s3), run_before, Patience(), console()[0], on_time()[0]) == OK


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


def s3_call(operation: str, bucket: str, name: str, **more: object) -> Call:
    return Call("s3", operation, {"Bucket": bucket, "Key": name, **more})


def listing(bucket: str, prefix: str) -> Call:
    return Call("s3", "ListObjectsV2", {"Bucket": bucket, "Prefix": prefix})


def kms(name: str, *actions: str, via: str = "s3") -> list[Call]:
    return [Call("kms", action, {"KeyId": key(name), "via": via}) for action in actions]


# EMR fetches the archive and the script. https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/logging.html
CODE = "code/releases/0123/pyspark_venv.tar.gz"
LOGS = f"logs/applications/{APPLICATION}/jobs/{RUN}/SPARK_DRIVER/stderr.gz"
OF_EMR = [
    s3_call("HeadObject", "code-bucket", CODE),
    s3_call("GetObject", "code-bucket", CODE),
    s3_call("PutObject", "logs-bucket", LOGS),
    *kms("logs", "GenerateDataKey", "Decrypt", via=""),
    Call("logs", "DescribeLogGroups", {}),
    Call("logs", "CreateLogGroup", {"logGroupName": "/aws/emr-serverless"}),
    *(
        Call("logs", operation, {"logGroupName": group, "logStreamName": f"/applications/{APPLICATION}/jobs/{RUN}/x"})
        for group in ("/aws/emr-serverless", "/aws/emr-serverless/pgjobs")
        for operation in ("CreateLogStream", "DescribeLogStreams", "PutLogEvents")
    ),
]

# S3A reads s3://data/orders/: is it an object, is it a folder, what is in it? Then it opens what it found.
READ = "orders/day=1/part-0.parquet"
OF_LOADS = [
    s3_call("HeadObject", "data", "orders"),
    listing("data", "orders/"),
    s3_call("HeadObject", "data", READ),
    s3_call("GetObject", "data", READ),
    *kms("data", "Decrypt"),
]

# S3A writes s3://lake/out/orders/: it makes folders, writes files in parts, and commits by renaming or by uploads.
TEMPORARY, WRITTEN = "out/orders/_temporary/0/part-0.parquet", "out/orders/part-0.parquet"
OF_EXTRACTS = [
    s3_call("HeadObject", "lake", "out/orders"),
    listing("lake", "out/orders/"),
    s3_call("PutObject", "lake", "out/orders/_temporary/0/"),
    s3_call("CreateMultipartUpload", "lake", TEMPORARY),
    s3_call("AbortMultipartUpload", "lake", TEMPORARY),
    Call("s3", "ListMultipartUploads", {"Bucket": "lake", "Prefix": "out/orders/"}),
    s3_call("CopyObject", "lake", WRITTEN, CopySource={"Bucket": "lake", "Key": TEMPORARY}),
    s3_call("DeleteObject", "lake", TEMPORARY),
    # Older releases remove a folder's own key when there is something in it.
    s3_call("DeleteObject", "lake", "out/orders"),
    s3_call("PutObject", "lake", "out/orders"),
    s3_call("AbortMultipartUpload", "lake", "out/orders"),
    s3_call("GetObject", "lake", WRITTEN),
    *kms("lake", "GenerateDataKey", "Decrypt"),
]
OF_SPARK = [*OF_EMR, *OF_LOADS, *OF_EXTRACTS]


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


# The way to AWS.


def s3_endpoint() -> list[Any]:
    return list(STACK.resources["S3Endpoint"]["Properties"]["PolicyDocument"]["Statement"])


def test_the_s3_endpoint_passes_what_jobs_call_and_what_others_of_the_account_do() -> None:
    others = [s3_call("PutObject", "of-a-neighbour", "x"), s3_call("DeleteObject", "of-a-neighbour", "x")]
    requests = [request for call in [*OF_SPARK, *others] if call.service == "s3" for request in asked(call)]
    ours = [request.with_context(aws__PrincipalAccount=ACCOUNT) for request in requests]
    assert [request for request in ours if not is_allowed(request, s3_endpoint())] == []


@pytest.mark.parametrize(
    ("call", "passes"),
    [
        (s3_call("PutObject", "of-a-thief", "x"), False),
        (s3_call("DeleteObject", "data", READ), False),
        (s3_call("GetObject", "packages-for-everybody", "x"), True),
        (s3_call("PutObject", f"prod.{REGION}.appinfo.src", "sparks-ui"), True),
    ],
)
def test_the_s3_endpoint_passes_no_writing_by_other_accounts_but_emrs_own(call: Call, passes: bool) -> None:
    requests = [request.with_context(aws__PrincipalAccount="999999999999") for request in asked(call)]
    assert all(is_allowed(request, s3_endpoint()) for request in requests) == passes


def endpoints(**parameters: str) -> set[str]:
    made = Stack({**NETWORK, **parameters}).resources.values()
    return {
        body["Properties"]["ServiceName"].rpartition(".")[2] for body in made if body["Type"] == "AWS::EC2::VPCEndpoint"
    }


SWITCHES = {
    "CreateS3Endpoint": "s3",
    "CreateSecretsManagerEndpoint": "secretsmanager",
    "CreateSsmEndpoint": "ssm",
    "CreateLogsEndpoint": "logs",
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_endpoint_has_a_switch(switch: str) -> None:
    assert endpoints(**{switch: "true", "RouteTableIds": "rtb-1"}) == {SWITCHES[switch]}


def test_no_endpoint_is_made_unasked() -> None:
    assert endpoints(SecretArn=SECRET, ParameterArn="arn:aws:ssm:x", DataKeyArn=key("data")) == set()


def test_what_a_private_name_leads_to_lets_the_whole_vpc_in() -> None:
    resources = Stack({**NETWORK, "CreateSsmEndpoint": "true"}).resources
    assert resources["SsmEndpoint"]["Properties"]["PrivateDnsEnabled"] is True
    [rule] = resources["EndpointSecurityGroup"]["Properties"]["SecurityGroupIngress"]
    assert (rule["CidrIp"], rule["FromPort"], rule["ToPort"]) == ("10.0.0.0/16", 443, 443)


@pytest.mark.parametrize(
    ("prefix_list", "reached"), [("", {"sg-1", "0.0.0.0/0"}), ("pl-63a5400a", {"sg-1", "pl-63a5400a", "10.0.0.0/16"})]
)
def test_workers_reach_the_database_and_aws_and_nothing_else_where_s3_is_named(
    prefix_list: str, reached: set[str]
) -> None:
    group = Stack({**NETWORK, "S3PrefixListId": prefix_list}).resources["ApplicationSecurityGroup"]["Properties"]
    ways = ("CidrIp", "DestinationPrefixListId", "DestinationSecurityGroupId")
    assert {rule[way] for rule in group["SecurityGroupEgress"] for way in ways if way in rule} == reached


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("DataPrefix", ["", "o", "orders", "a/b c/d"], ["orders/", "/orders", "ord*", "a?", "${x}"]),
        ("ExtractPrefix", ["", "lake/out"], ["lake/", "*"]),
        ("S3PrefixListId", ["", "pl-63a5400a"], ["sg-1"]),
        ("VpcCidr", ["10.0.0.0/16"], ["", "10.0.0.0", "vpc-1"]),
    ],
)
def test_parameters_that_cannot_be_right_are_refused(parameter: str, good: list[str], bad: list[str]) -> None:

    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert [text for text in [*good, *bad] if re.fullmatch(pattern, text)] == good


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
