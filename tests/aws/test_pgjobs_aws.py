"""What is told when AWS refuses a command, or cannot be asked."""

from __future__ import annotations

import pytest
from botocore import exceptions

from pgjobs.aws import aws_errors, connect
from pgjobs.errors import AwsError, DeployError, PassingError


def refused(code: str, message: str = "no", status: int = 400, call: str = "GetJobRun") -> exceptions.ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(answer, call)


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (exceptions.NoRegionError(), DeployError, "Give --region"),
        (exceptions.NoCredentialsError(), DeployError, "aws sso login"),
        (exceptions.UnauthorizedSSOTokenError(), DeployError, "aws sso login"),
        (exceptions.ProfileNotFound(profile="x"), DeployError, "aws configure list-profiles"),
        (exceptions.SSLError(endpoint_url="x", error="y"), DeployError, "AWS_CA_BUNDLE"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), PassingError, "Check the network"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), PassingError, "Check the network"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), PassingError, "Check the network"),
        (refused("ExpiredTokenException"), AwsError, "credentials have expired. Log in"),
        (refused("UnrecognizedClientException"), AwsError, "does not know these credentials"),
        (refused("AccessDeniedException"), AwsError, "Grant emr-serverless:GetJobRun."),
        (refused("AccessDenied", call="ListObjectsV2"), AwsError, "Grant s3:ListBucket."),
        (refused("AccessDeniedException", call="StartJobRun"), AwsError, "iam:PassRole"),
        (refused("NoSuchBucket", call="PutObject"), AwsError, "Check the bucket's name"),
        (refused("ServiceQuotaExceededException", status=402), AwsError, "higher quota"),
        (refused("ValidationException", "memory overhead"), AwsError, "AWS refuses GetJobRun: memory overhead."),
        (refused("ThrottlingException", status=429), PassingError, "Try again"),
        (refused("InternalServerException", status=500), PassingError, "Try again"),
    ],
)
def test_botocores_errors_say_what_to_do(error: Exception, kind: type[DeployError], told: str) -> None:
    with pytest.raises(DeployError) as caught, aws_errors():
        raise error
    assert type(caught.value) is kind
    assert told in str(caught.value)


@pytest.mark.usefixtures("account")
def test_a_profile_that_is_not_there_is_told() -> None:
    with pytest.raises(DeployError, match=r"The config profile \(nope\) could not be found"):
        connect(None, "nope")
