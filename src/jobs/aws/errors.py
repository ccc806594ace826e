"""botocore's errors in our own words, each with what is missing: an endpoint, a permission, credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.errors import JobError


class AwsError(JobError):
    """AWS, or the way to it, did not give what was asked for."""


class AwsUnavailable(AwsError):
    """AWS did not answer, or had no time for it."""

    transient = True


class NotThere(AwsError):
    """There is nothing of this name, or no such version of it."""


@dataclass(frozen=True)
class Wish:
    """What is asked of AWS, as far as an error has to tell of it.

    Attributes:
        failure: how the message begins, such as "The secret x cannot be read".
        service: as in the name of a VPC endpoint: "secretsmanager".
        action: the permission that it needs.
    """

    failure: str
    service: str
    action: str
    region: str


NO_BOTO3 = (
    "boto3 is not installed here.",
    "EMR's images have it. Elsewhere: pip install boto3, or pack it: scripts/package_venv.sh --with boto3.",
)

_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_KEY_DENIED = frozenset({"DecryptionFailure", "InvalidKeyId", "KMSAccessDeniedException"})
_NOT_THERE = frozenset({"ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"})
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
    "On EMR they are the job's execution role's, which --role names; elsewhere give AWS_PROFILE or run aws configure."
)


@contextmanager
def aws_errors_translated(wish: Wish) -> Iterator[None]:
    """Raise the project's errors in place of botocore's, here and nowhere else.

    Raises:
        AwsError: in place of what botocore raised, or because there is no boto3.
    """
    try:
        import boto3  # noqa: F401 - it is looked for here, so that no caller has to
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise AwsError(*NO_BOTO3) from None
    try:
        yield
    except ClientError as error:
        raise refused(error.response, wish) from None
    except BotoCoreError as error:
        raise not_answered(error, wish) from None


def refused(response: dict[str, dict[str, object]], wish: Wish) -> AwsError:
    """What an error of the service means.

    Args:
        response: as botocore has it: `Error` with `Code` and `Message`, and `ResponseMetadata`.
        wish: what was asked for.
    """
    code, reason = str(response["Error"].get("Code", "")), str(response["Error"].get("Message", ""))
    message = f"{wish.failure}: {reason.rstrip('.')} ({code})." if reason else f"{wish.failure}: {code}."
    if code in _KEY_DENIED or (code in _DENIED and "kms" in reason.lower()):
        return AwsError(message, "Allow the role kms:Decrypt on the key, in its own policy and in the key's.")
    if code in _DENIED:
        return AwsError(message, f"Allow the role {wish.action}, and kms:Decrypt where the key is one of your own.")
    if code in _NOT_THERE:
        hint = f"Check its name, and the region: {wish.region} (--aws-region). One of another account wants its ARN."
        return NotThere(message, hint)
    if code in _BAD_CREDENTIALS:
        return AwsError(message, f"The AWS credentials are not valid, or not any more. {_CREDENTIALS_HINT}")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _BUSY or (isinstance(status, int) and status >= 500):  # noqa: PLR2004 - HTTP's errors of the server
        return AwsUnavailable(message, "It may pass: run the job again.")
    return AwsError(message)


def not_answered(error: Exception, wish: Wish) -> AwsError:
    """What an error of botocore itself means: no answer, or no question for want of credentials."""
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
    message = f"{wish.failure}: {reason.rstrip('.')}."
    if isinstance(error, no_credentials):
        return AwsError(message, _CREDENTIALS_HINT)
    if isinstance(error, botocore.SSLError):
        return AwsError(message, "Something between here and AWS shows a certificate of its own: see AWS_CA_BUNDLE.")
    if isinstance(error, (botocore.ConnectionError, botocore.HTTPClientError)):
        return AwsUnavailable(
            message,
            f"From inside a VPC it takes an interface endpoint for com.amazonaws.{wish.region}.{wish.service}, whose "
            "security group lets the job in at port 443, or a route through a NAT gateway. Check the region, too.",
        )
    return AwsError(message)
