"""What is told when AWS does not give what is asked of it."""

from __future__ import annotations

import pickle
from typing import Any

import boto3
import pytest
from botocore import exceptions as botocore
from botocore.stub import Stubber
from cloud import REGION

from jobs.aws.credentials import read_secret
from jobs.aws.errors import AwsError, AwsRequest, AwsUnavailable, aws_errors_translated, not_answered, refused
from jobs.errors import JobError

WISH = AwsRequest("The secret x cannot be read", "secretsmanager", "secretsmanager:GetSecretValue", REGION)


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
        ("AccessDeniedException", DENIED, "Allow the role secretsmanager:GetSecretValue, and kms:Decrypt for"),
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
        (botocore.EndpointConnectionError(endpoint_url=URL), "admits the job at port 443"),
        (botocore.SSLError(endpoint_url=URL, error="self-signed"), "AWS_CA_BUNDLE"),
        (botocore.NoCredentialsError(), "On EMR, they are those of the execution role"),
        (botocore.ProfileNotFound(profile="x"), "set AWS_PROFILE"),
        (botocore.InvalidRegionError(region_name="x y"), "doesn't match a supported format"),
        (botocore.ParamValidationError(report="first\nsecond"), "Parameter validation failed: first second."),
    ],
)
def test_no_answer_names_the_endpoint_or_the_credentials_that_are_missing(
    error: botocore.BotoCoreError, told: str
) -> None:
    assert told in str(not_answered(error, WISH))


def test_errors_of_aws_travel_between_processes() -> None:
    response: dict[str, Any] = {"Error": {"Code": "ThrottlingException", "Message": "busy"}}
    again = pickle.loads(pickle.dumps(refused(response, WISH)))  # noqa: S301 - our own bytes
    assert isinstance(again, AwsUnavailable)
    assert isinstance(again, JobError)
    assert again.hint
