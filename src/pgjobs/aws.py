"""Access to AWS: the calls in use, clients with short timeouts, and translation of botocore's errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import boto3
from botocore import exceptions
from botocore.config import Config

from pgjobs.errors import AwsError, DeployError, PassingError

CONFIG = Config(
    connect_timeout=5,  # seconds; botocore's default of 60 with five attempts looks like a hang
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 5},
    user_agent_extra="pgjobs",
)


Call = Callable[..., dict[str, Any]]
"""A method of a client: takes parameters by name and returns the answer."""


class JobRuns(Protocol):
    """The methods of boto3's emr-serverless client that are used."""

    start_job_run: Call
    get_job_run: Call
    get_application: Call
    cancel_job_run: Call
    list_job_runs: Call
    list_job_run_attempts: Call
    get_dashboard_for_job_run: Call


class Objects(Protocol):
    """The methods of boto3's s3 client that are used."""

    head_bucket: Call
    head_object: Call
    put_object: Call
    get_object: Call
    list_objects_v2: Call


@dataclass(frozen=True)
class Clients:
    """The clients of the two services."""

    runs: JobRuns
    objects: Objects


def connect(region: str | None, profile: str | None) -> Clients:
    """Create the clients for a region and a profile; None stands for the environment and ~/.aws/config.

    Raises:
        DeployError: The profile does not exist, or no region is set.
    """
    with aws_errors():
        session = boto3.Session(region_name=region or None, profile_name=profile or None)
        return Clients(session.client("emr-serverless", config=CONFIG), session.client("s3", config=CONFIG))


@contextmanager
def aws_errors() -> Iterator[None]:
    """Convert botocore's errors to those of this project."""
    try:
        yield
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        raise translated(error) from None


def code_of(error: exceptions.ClientError) -> str:
    """Return AWS's name for an error. For a HEAD request, which has no body, this is the HTTP status: "404"."""
    return str(error.response.get("Error", {}).get("Code", ""))


def translated(error: Exception) -> DeployError:
    """Return the error of this project for an error of botocore."""
    if isinstance(error, exceptions.ClientError):
        return _refusal(error)
    for kinds, advice in _LOCAL_FAULTS:
        if isinstance(error, kinds):
            return DeployError(f"{_sentence(error)} {advice}")
    if isinstance(error, _NETWORK_FAULTS):
        return PassingError(f"AWS does not answer: {_sentence(error)} Check the network, a proxy and --region.")
    return AwsError(_sentence(error))


_LOG_IN = "Log in (aws sso login, aws configure), or name another --profile."

# Errors that botocore raises before anything is sent -> what to do.
_LOCAL_FAULTS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((exceptions.NoRegionError, exceptions.InvalidRegionError), "Give --region, or set AWS_REGION."),
    ((exceptions.ProfileNotFound,), "`aws configure list-profiles` lists the existing ones."),
    (
        (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
            exceptions.SSOError,
            exceptions.TokenRetrievalError,
        ),
        _LOG_IN,
    ),
    ((exceptions.SSLError,), "For a proxy, set AWS_CA_BUNDLE to the file of its certificate authorities."),
)
_NETWORK_FAULTS = (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError)

# Error codes of AWS -> what to do. https://docs.aws.amazon.com/emr-serverless/latest/APIReference/CommonErrors.html
_EXPIRED = "The AWS credentials have expired."
_UNKNOWN = "AWS does not know these credentials."
_CREDENTIAL_FAULTS: Mapping[str, str] = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidAccessKeyId": _UNKNOWN,
    "InvalidClientTokenId": _UNKNOWN,
    "InvalidSignatureException": _UNKNOWN,
    "SignatureDoesNotMatch": _UNKNOWN,
    "UnrecognizedClientException": _UNKNOWN,
}
_ADVICE: Mapping[str, str] = {
    "ResourceNotFoundException": "Check --application-id, the run's id and --region.",
    "NoSuchBucket": "Check the bucket's name.",
    "ServiceQuotaExceededException": "Request a higher quota, or use less (see Service Quotas, EMR Serverless).",
    "PermanentRedirect": "The bucket must be in the region of the application (--region).",
    "ConflictException": "Check that the application is started, or starts automatically.",
}
_DENIED = ("AccessDenied", "AccessDeniedException", "403")
_THROTTLED = (
    *("Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown", "RequestTimeout"),
    "ConditionalRequestConflict",
)

# Permissions whose names differ from the name of the call.
_PERMISSIONS: Mapping[str, str] = {
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "StartJobRun": "emr-serverless:StartJobRun and iam:PassRole for --role",
}
_S3_CALLS = ("PutObject", "GetObject")


def _refusal(error: exceptions.ClientError) -> DeployError:
    """Return the error for an answer of AWS."""
    code, call = code_of(error), error.operation_name
    message = str(error.response.get("Error", {}).get("Message", "")).strip().rstrip(".")
    answer = f"{call}: {message or code}."
    if code in _CREDENTIAL_FAULTS:
        return AwsError(f"{_CREDENTIAL_FAULTS[code]} {_LOG_IN}")
    if code in _DENIED:
        service = "s3" if call in _S3_CALLS else "emr-serverless"
        return AwsError(f"AWS refuses {answer} Grant {_PERMISSIONS.get(call, f'{service}:{call}')}.")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED or status >= 500:  # noqa: PLR2004 - HTTP's server errors
        return PassingError(f"AWS cannot serve {answer} Try again.")
    bucket = error.response.get("Error", {}).get("BucketName")  # S3 sets this in its answers
    advice = f"There is no bucket {bucket}." if bucket and code == "NoSuchBucket" else _ADVICE.get(code, "")
    return AwsError(f"AWS refuses {answer} {advice}".strip())


def _sentence(error: Exception) -> str:
    """Return the text of an error with a single full stop."""
    return f"{str(error).strip().rstrip('.')}."


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key (or the prefix, without slashes around it) of an S3 URI.

    Raises:
        DeployError: The text is not an S3 URI.
    """
    match = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", uri)
    if match is None:
        raise DeployError(
            f"{uri!r} is not an S3 URI: write s3://bucket/prefix. A bucket's name has 3 to 63 lower-case characters."
        )
    return match[1], (match[2] or "").strip("/")
