"""Credentials from AWS: what is read, and what is signed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from cloud import REGION, store_parameter, store_secret

from jobs.aws.credentials import Parameter, RdsToken, Secret
from jobs.aws.errors import AwsError, NotThere
from jobs.dbaccess.conninfo.settings import Login
from jobs.errors import UsageError
from jobs.flows.connection import from_secret, from_tokens
from jobs.load_table import main

Environ = Mapping[str, str]


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
    with pytest.raises(UsageError, match=r"db\.example\.com does not contain its AWS region"):
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
