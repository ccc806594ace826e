"""Clients of AWS: their region, their patience, and boto3, which may be missing."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest
from cloud import REGION

from jobs.aws.clients import ATTEMPTS, CONNECT_TIMEOUT, READ_TIMEOUT, client, find_region, region_of_arn
from jobs.errors import UsageError
from jobs.load_table import main

HOST = f"shop.abc123.{REGION}.rds.amazonaws.com"


URL = "https://secretsmanager.eu-west-1.amazonaws.com/"


@pytest.mark.usefixtures("aws")
def test_a_vpc_without_an_endpoint_is_told_within_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within how many, says the next test: here nobody is waited for."""
    with socket.socket() as bound:  # but it does not listen
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{bound.getsockname()[1]}")
        start = time.monotonic()
        assert main(["--secret-id", "x", "--aws-region", REGION, "--show-connection"], {}) == 1
        assert time.monotonic() - start < 120
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
        "pgjobs package --with boto3.\n"
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
