"""botocore's errors in our own words, each with what is missing: an endpoint, a permission, credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.errors import JobError


class AwsError(JobError):
    """AWS refused a request, or could not be reached."""


class AwsUnavailable(AwsError):
    """AWS did not answer, or is overloaded."""

    transient = True


class NotThere(AwsError):
    """There is nothing of this name, or no such version of it."""


@dataclass(frozen=True)
class AwsRequest:
    """A request to AWS, as far as an error describes it.

    Attributes:
        failure: The beginning of the message, such as "The secret x cannot be read".
        service: The service in the name of a VPC endpoint: "secretsmanager".
        action: The permission that the request needs.
    """

    failure: str
    service: str
    action: str
    region: str


NO_BOTO3 = (
    "boto3 is not installed here.",
    "EMR's images have it. Elsewhere: pip install boto3, or pack it: pgjobs package --with boto3.",
)

_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_KEY_DENIED = frozenset({"DecryptionFailure", "InvalidKeyId", "KMSAccessDeniedException"})
_NOT_THERE = frozenset(
    {"NoSuchBucket", "NoSuchKey", "ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"}
)
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_BUSY = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"})

_CREDENTIALS_HINT = (
    "On EMR, they are those of the execution role (--role); elsewhere, set AWS_PROFILE or run aws configure."
)


@contextmanager
def aws_errors_translated(request: AwsRequest) -> Iterator[None]:
    """Raise this project's errors in place of botocore's, here and nowhere else.

    Raises:
        AwsError: botocore raised an error, or boto3 is not installed.
    """
    try:
        import boto3  # noqa: F401 - imported here, so that callers need not check for it
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise AwsError(*NO_BOTO3) from None
    try:
        yield
    except ClientError as error:
        raise refused(error.response, request) from None
    except BotoCoreError as error:
        raise not_answered(error, request) from None


def refused(response: dict[str, dict[str, object]], request: AwsRequest) -> AwsError:
    """Return the error for an error of the service.

    Args:
        response: botocore's form: `Error` with `Code` and `Message`, and `ResponseMetadata`.
        request: The request.
    """
    code, reason = str(response["Error"].get("Code", "")), str(response["Error"].get("Message", ""))
    message = f"{request.failure}: {reason.rstrip('.')} ({code})." if reason else f"{request.failure}: {code}."
    if code in _KEY_DENIED or (code in _DENIED and "kms" in reason.lower()):
        return AwsError(message, "Allow the role kms:Decrypt on the key, in its own policy and in the key's.")
    if code in _DENIED:
        return AwsError(message, f"Allow the role {request.action}, and kms:Decrypt for a key of your own.")
    if code in _NOT_THERE:
        hint = f"Check its name, and the region: {request.region} (--aws-region). For another account, give the ARN."
        return NotThere(message, hint)
    if code in _BAD_CREDENTIALS:
        return AwsError(message, f"The AWS credentials are not valid, or not any more. {_CREDENTIALS_HINT}")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _BUSY or (isinstance(status, int) and status >= 500):  # noqa: PLR2004 - HTTP's server errors
        return AwsUnavailable(message, "This may be temporary: run the job again.")
    return AwsError(message)


def not_answered(error: Exception, request: AwsRequest) -> AwsError:
    """Return the error for an error of botocore itself: no answer, or no credentials for a request."""
    from botocore import exceptions as botocore

    no_credentials = (
        botocore.NoCredentialsError,
        botocore.PartialCredentialsError,
        botocore.CredentialRetrievalError,
        botocore.MetadataRetrievalError,
        botocore.ProfileNotFound,
        botocore.SSOError,
        botocore.TokenRetrievalError,
    )
    reason = " ".join(str(error).split())  # some have several lines
    message = f"{request.failure}: {reason.rstrip('.')}."
    if isinstance(error, no_credentials):
        return AwsError(message, _CREDENTIALS_HINT)
    if isinstance(error, botocore.SSLError):
        return AwsError(message, "A proxy on the way to AWS presents its own certificate: set AWS_CA_BUNDLE.")
    if isinstance(error, (botocore.ConnectionError, botocore.HTTPClientError)):
        return AwsUnavailable(message, way_to(request))
    return AwsError(message)


def way_to(request: AwsRequest) -> str:
    """Return what a job needs to reach a service."""
    return (
        f"A job in a VPC needs an interface endpoint for com.amazonaws.{request.region}.{request.service}, whose "
        "security group admits the job at port 443, or a route through a NAT gateway. Check the region, too."
    )
