"""Secrets, parameters and tokens as picklable callables, which are called for each connection where it is opened.

`jobs.dbaccess` interprets the text of a secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.aws.clients import client
from jobs.aws.errors import AwsError, AwsRequest, NotThere, aws_errors_translated
from jobs.errors import UsageError


@dataclass(frozen=True)
class Secret:
    """The texts of a secret in Secrets Manager, read at each call: the current version, then the previous one.

    The previous version is only read if the caller continues: if two users are rotated alternately, the current version
    may belong to the other user.
    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets_strategies.html

    Attributes:
        name: Its name or ARN.
    """

    name: str
    region: str

    def __call__(self) -> Iterator[str]:
        """Read it.

        Raises:
            AwsError: It cannot be read, or is binary.
        """
        yield self._read("AWSCURRENT")
        try:
            earlier = self._read("AWSPREVIOUS")
        except NotThere:  # it was never rotated
            return
        yield earlier

    def _read(self, stage: str) -> str:
        failure = f"The secret {self.name} cannot be read"
        request = AwsRequest(failure, "secretsmanager", "secretsmanager:GetSecretValue", self.region)
        with aws_errors_translated(request):
            return read_secret(client("secretsmanager", self.region), self.name, stage)


@dataclass(frozen=True)
class Parameter:
    """The text of a parameter in Systems Manager's Parameter Store, read at each call.

    Attributes:
        name: Its name or ARN; `name:version` for one version.
    """

    name: str
    region: str

    def __call__(self) -> Iterator[str]:
        """Read it.

        Raises:
            AwsError: It cannot be read.
        """
        request = AwsRequest(f"The parameter {self.name} cannot be read", "ssm", "ssm:GetParameter", self.region)
        with aws_errors_translated(request):
            yield read_parameter(client("ssm", self.region), self.name)


class TokenSubject(Protocol):
    """The endpoint and user for which a token is valid."""

    @property
    def host(self) -> str:
        """The endpoint's own name."""

    @property
    def port(self) -> int:
        """The port."""

    @property
    def user(self) -> str:
        """The database user."""

    @property
    def region(self) -> str:
        """The AWS region in the endpoint's name; may be empty."""


@dataclass(frozen=True)
class RdsToken:
    """Tokens for IAM authentication. Each can open connections to one endpoint for 15 minutes.

    They are signed locally, with the credentials of the process that opens the connection, without a call to AWS.
    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html

    Attributes:
        region: The region of the database; may be empty if the endpoint's name contains it.
    """

    region: str = ""

    def __call__(self, subject: TokenSubject) -> str:
        """Sign a token.

        Raises:
            AwsError: There are no credentials for signing.
            UsageError: The region is not known.
        """
        region = self.region or subject.region
        if not region:
            raise UsageError(
                f"The host {subject.host} does not contain its AWS region.",
                "Use the endpoint's own name (tokens are valid for no other), or give --aws-region.",
            )
        failure = f"A token for {subject.user} at {subject.host} cannot be signed"
        with aws_errors_translated(AwsRequest(failure, "rds", "rds-db:connect", region)):
            return mint_token(client("rds", region), subject, region)


def read_secret(secretsmanager: Any, name: str, stage: str) -> str:  # noqa: ANN401 - a client of boto3
    """Return a version of a secret.

    Raises:
        AwsError: It is binary.
    """
    answer = secretsmanager.get_secret_value(SecretId=name, VersionStage=stage)
    if "SecretString" not in answer:
        raise AwsError(f"The secret {name} is binary.", "Store the password as text, or JSON with a password.")
    return str(answer["SecretString"])


def read_parameter(ssm: Any, name: str) -> str:  # noqa: ANN401 - a client of boto3
    """Return a parameter, decrypted."""
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def mint_token(rds: Any, subject: TokenSubject, region: str) -> str:  # noqa: ANN401 - a client of boto3
    """Return a token."""
    endpoint = {"DBHostname": subject.host, "Port": subject.port}
    return str(rds.generate_db_auth_token(**endpoint, DBUsername=subject.user, Region=region))
