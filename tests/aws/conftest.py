"""AWS by moto: no test here has credentials, a region or a profile but these, nor reaches any network."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from emr_runs import CREDENTIALS, REGION, Client
from moto import mock_aws


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


@pytest.fixture
def s3(account: None) -> Client:  # noqa: ARG001 - the account comes first
    """S3 with two buckets."""
    client = boto3.client("s3", region_name=REGION)
    for bucket in ("code-bucket", "logs-bucket"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client
