"""Credentials from AWS: what is read, what is signed, and what is told when AWS does not give them."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore import exceptions as botocore
from botocore.stub import Stubber
from cloud import REGION, store_parameter, store_secret

from jobs.aws.clients import ATTEMPTS, CONNECT_TIMEOUT, READ_TIMEOUT, client, find_region, region_of_arn, region_of_host
from jobs.aws.credentials import Parameter, RdsToken, Secret, read_secret
from jobs.aws.errors import AwsError, AwsUnavailable, NotThere, Wish, aws_errors_translated, not_answered, refused
from jobs.dbaccess.conninfo.settings import Login
from jobs.errors import JobError, UsageError
from jobs.flows.connection import from_secret, from_tokens
from jobs.load_table import main

Environ = Mapping[str, str]

WISH = Wish("The secret x cannot be read", "secretsmanager", "secretsmanager:GetSecretValue", REGION)
HOST = f"shop.abc123.{REGION}.rds.amazonaws.com"
LOGIN = Login(HOST, 5432, "loader", "shop")


def test_a_secret_gives_its_current_text_and_then_the_one_before(aws: Environ) -> None:
    store_secret(aws, "rotated", "old")
    store_secret(aws, "rotated", "new")
    assert list(Secret("rotated", REGION)()) == ["new", "old"]


def test_a_secret_that_was_never_rotated_has_one_text(aws: Environ) -> None:
    store_secret(aws, "fresh", "only")
    assert list(Secret("fresh", REGION)()) == ["only"]


@pytest.mark.usefixtures("aws")
def test_a_secret_of_rds_gives_user_and_password() -> None:
    rds = boto3.client("rds")
    made = rds.create_db_instance(
        DBInstanceIdentifier="shop",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        ManageMasterUserPassword=True,
    )
    arn = made["DBInstance"]["MasterUserSecret"]["SecretArn"]
    credentials = from_secret(arn, "", {})
    assert credentials.stated is not None
    assert list(credentials.stated) == ["user"]
    assert credentials.password(Login(HOST, 5432, credentials.stated["user"], "shop"))


def test_a_parameter_is_decrypted(aws: Environ) -> None:
    store_parameter(aws, "/shop/password", "s3cret")
    assert list(Parameter("/shop/password", REGION)()) == ["s3cret"]


@pytest.mark.usefixtures("aws")
def test_a_binary_secret_is_refused_by_name() -> None:
    boto3.client("secretsmanager").create_secret(Name="keystore", SecretBinary=b"s3cret")
    with pytest.raises(AwsError, match="The secret keystore is binary") as caught:
        list(Secret("keystore", REGION)())
    assert "s3cret" not in str(caught.value)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("source", [Secret("nosuch", REGION), Parameter("nosuch", REGION)])
def test_what_is_not_there_is_named_with_the_region_that_was_looked_in(source: Secret) -> None:
    with pytest.raises(NotThere, match=r"nosuch cannot be read: .* Check its name, and the region: eu-west-1"):
        list(source())


@pytest.mark.usefixtures("aws")
def test_a_token_is_for_one_endpoint_and_user_and_for_15_minutes() -> None:
    token = urlsplit("//" + RdsToken()(LOGIN))
    query = parse_qs(token.query)
    assert token.netloc == f"{HOST}:5432"
    assert (query["Action"], query["DBUser"], query["X-Amz-Expires"]) == (["connect"], ["loader"], ["900"])
    assert f"/{REGION}/rds-db/" in query["X-Amz-Credential"][0]


@pytest.mark.usefixtures("aws")
def test_a_token_is_of_the_hosts_region_unless_another_is_named() -> None:
    elsewhere = Login("shop.abc123.ap-southeast-2.rds.amazonaws.com", 5432, "loader", "shop")
    assert "%2Fap-southeast-2%2F" in RdsToken()(elsewhere)
    assert "%2Fus-east-1%2F" in RdsToken("us-east-1")(elsewhere)
    with pytest.raises(UsageError, match=r"db\.example\.com does not tell its AWS region"):
        RdsToken()(Login("db.example.com", 5432, "loader", "shop"))


# What crosses to a worker must do its work in a process that has nothing but its environment.
WORKER = """
import pickle, sys
from jobs.dbaccess.conninfo.settings import Login
sys.stdout.write(pickle.load(sys.stdin.buffer)(Login(*sys.argv[1:])))
"""


def in_a_worker(source: object, environ: Environ) -> str:
    words = [LOGIN.host, str(LOGIN.port), LOGIN.user, LOGIN.dbname]
    done = subprocess.run(
        [sys.executable, "-c", WORKER, *words],
        input=pickle.dumps(source),
        env=environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_secret_is_read_by_the_worker_in_the_region_that_the_driver_found(aws: Environ) -> None:
    store_secret(aws, "travels", '{"username": "loader", "password": "s3cret"}')
    password = from_secret("travels", "", aws).password
    assert b"s3cret" not in pickle.dumps(password)
    without_region = {name: value for name, value in aws.items() if not name.endswith("REGION")}
    assert in_a_worker(password, without_region) == "s3cret"


def test_a_token_is_signed_by_the_worker_with_its_own_credentials(aws: Environ) -> None:
    token = in_a_worker(from_tokens("").password, {**aws, "AWS_ACCESS_KEY_ID": "AKIAWORKER"})
    assert parse_qs(urlsplit("//" + token).query)["X-Amz-Credential"][0].startswith("AKIAWORKER/")


def stubbed(code: str, message: str, status: int = 400) -> AwsError:
    """What is told when Secrets Manager answers with an error."""
    secretsmanager = boto3.client("secretsmanager", REGION, aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(secretsmanager) as stub, pytest.raises(AwsError) as caught, aws_errors_translated(WISH):
        stub.add_client_error("get_secret_value", code, message, status)
        read_secret(secretsmanager, "x", "AWSCURRENT")
    return caught.value


DENIED = "User: arn:aws:sts::1:assumed-role/jobs/x is not authorized to perform: secretsmanager:GetSecretValue"


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("AccessDeniedException", DENIED, "Allow the role secretsmanager:GetSecretValue, and kms:Decrypt where"),
        ("AccessDeniedException", "Access to KMS is not allowed", "Allow the role kms:Decrypt on the key"),
        ("DecryptionFailure", "", "cannot be read: DecryptionFailure. Allow the role kms:Decrypt"),
        ("ResourceNotFoundException", "No.", "cannot be read: No (ResourceNotFoundException). Check its name"),
        ("ExpiredTokenException", "Expired", "The AWS credentials are not valid, or not any more."),
        (
            "InvalidRequestException",
            "It is marked for deletion",
            "It is marked for deletion (InvalidRequestException).",
        ),
    ],
)
def test_a_refusal_names_what_is_missing(code: str, message: str, told: str) -> None:
    error = stubbed(code, message)
    assert str(error).startswith("The secret x cannot be read: ")
    assert told in str(error)
    assert not error.transient


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("InternalServiceError", 500)])
def test_what_may_pass_is_told_apart(code: str, status: int) -> None:
    assert stubbed(code, "busy", status).transient


URL = "https://secretsmanager.eu-west-1.amazonaws.com/"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            botocore.ConnectTimeoutError(endpoint_url=URL),
            "an interface endpoint for com.amazonaws.eu-west-1.secretsman",
        ),
        (botocore.ReadTimeoutError(endpoint_url=URL), "or a route through a NAT gateway"),
        (botocore.EndpointConnectionError(endpoint_url=URL), "lets the job in at port 443"),
        (botocore.SSLError(endpoint_url=URL, error="self-signed"), "AWS_CA_BUNDLE"),
        (botocore.NoCredentialsError(), "On EMR they are the job's execution role's"),
        (botocore.ProfileNotFound(profile="x"), "give AWS_PROFILE"),
        (botocore.InvalidRegionError(region_name="x y"), "doesn't match a supported format"),
        (botocore.ParamValidationError(report="first\nsecond"), "Parameter validation failed: first second."),
    ],
)
def test_no_answer_names_the_endpoint_or_the_credentials_that_are_missing(
    error: botocore.BotoCoreError, told: str
) -> None:
    assert told in str(not_answered(error, WISH))


@pytest.mark.usefixtures("aws")
def test_a_vpc_without_an_endpoint_is_told_within_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    start = time.monotonic()
    assert main(["--secret-id", "x", "--aws-region", REGION, "--show-connection"], {}) == 1
    assert time.monotonic() - start < ATTEMPTS * CONNECT_TIMEOUT
    printed = capsys.readouterr().err
    assert printed.startswith("error: The secret x cannot be read: Could not connect to the endpoint URL")
    assert "com.amazonaws.eu-west-1.secretsmanager" in printed


@pytest.mark.usefixtures("aws")
def test_clients_are_impatient() -> None:
    config = client("ssm", REGION).meta.config
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_TIMEOUT, READ_TIMEOUT) == (5, 10)
    assert config.retries["total_max_attempts"] == ATTEMPTS == 3


def test_without_boto3_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert main(["--secret-id", "x", "--aws-region", REGION, "--show-connection"], {}) == 1
    assert capsys.readouterr().err == (
        "error: boto3 is not installed here. EMR's images have it. Elsewhere: pip install boto3, or pack it: "
        "scripts/package_venv.sh --with boto3.\n"
    )


def test_jobs_that_ask_nothing_of_aws_do_without_boto3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "botocore", None)
    assert main(["--dbname", "d", "--user", "u", "--show-connection"], {}) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("arn:aws:secretsmanager:eu-west-1:1:secret:x", "eu-west-1"),
        ("arn:aws-cn:ssm:cn-north-1:1:x", "cn-north-1"),
        ("x", ""),
    ],
)
def test_an_arn_tells_its_region(name: str, region: str) -> None:
    assert region_of_arn(name) == region


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (HOST, "eu-west-1"),
        ("shop.cluster-abc.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"),
        ("shop.proxy-abc.ap-southeast-2.rds.amazonaws.com", "ap-southeast-2"),
        ("shop.abc.cn-north-1.rds.amazonaws.com.cn", "cn-north-1"),
        ("SHOP.ABC.EU-WEST-1.RDS.AMAZONAWS.COM", "eu-west-1"),
        (f"{HOST}.example.com", ""),
        ("db.example.com", ""),
    ],
)
def test_a_host_of_rds_tells_its_region(host: str, region: str) -> None:
    assert region_of_host(host) == region


def test_the_region_is_the_named_one_then_the_environments_then_the_config_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[default]\nregion = us-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert find_region("a", {"AWS_REGION": "b"}) == "a"
    assert find_region("", {"AWS_REGION": "b", "AWS_DEFAULT_REGION": "c"}) == "b"
    assert find_region("", {"AWS_DEFAULT_REGION": "c"}) == "c"
    assert find_region("", {}) == "us-west-2"
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(UsageError, match=r"There is no AWS region\. Give --aws-region"):
        find_region("", {})


@pytest.mark.parametrize("more", [["--ssm-parameter", "y"], ["--iam-auth"]])
def test_two_keepers_of_the_password_are_refused(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--secret-id", "x", *more, "--show-connection"], {})
    assert caught.value.code == 2
    assert "not allowed with argument --secret-id" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--secret-id", "--ssm-parameter"])
def test_a_name_from_a_variable_that_is_not_set_is_told(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag, "", "--show-connection"], {}) == 2
    assert capsys.readouterr().err.startswith(f"error: {flag} is empty.")


def test_errors_of_aws_travel_between_processes() -> None:
    response: dict[str, Any] = {"Error": {"Code": "ThrottlingException", "Message": "busy"}}
    again = pickle.loads(pickle.dumps(refused(response, WISH)))  # noqa: S301 - our own bytes
    assert isinstance(again, AwsUnavailable)
    assert isinstance(again, JobError)
    assert again.hint
