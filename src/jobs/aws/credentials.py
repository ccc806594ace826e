"""Secrets, parameters and tokens as picklable callables. They are called for each connection, where it is opened.

What a secret's text states, and what a connection is, `jobs.dbaccess` knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.aws.clients import client
from jobs.aws.errors import AwsError, NotThere, Wish, aws_errors_translated
from jobs.errors import UsageError


@dataclass(frozen=True)
class Secret:
    """The texts of a secret in Secrets Manager, read anew at each call: the current one, then the one before it.

    The one before is looked for only when a caller goes on: where the passwords of two users are rotated in turns,
    the current text may be about the other one.
    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets_strategies.html

    Attributes:
        name: its name or ARN.
    """

    name: str
    region: str

    def __call__(self) -> Iterator[str]:
        """Read it.

        Raises:
            AwsError: it cannot be read, or is binary.
        """
        yield self._read("AWSCURRENT")
        try:
            earlier = self._read("AWSPREVIOUS")
        except NotThere:  # it was never rotated
            return
        yield earlier

    def _read(self, stage: str) -> str:
        failure = f"The secret {self.name} cannot be read"
        wish = Wish(failure, "secretsmanager", "secretsmanager:GetSecretValue", self.region)
        with aws_errors_translated(wish):
            return read_secret(client("secretsmanager", self.region), self.name, stage)


@dataclass(frozen=True)
class Parameter:
    """The text of a parameter in Systems Manager's Parameter Store, read anew at each call.

    Attributes:
        name: its name or ARN; `name:version` for one version.
    """

    name: str
    region: str

    def __call__(self) -> Iterator[str]:
        """Read it.

        Raises:
            AwsError: it cannot be read.
        """
        wish = Wish(f"The parameter {self.name} cannot be read", "ssm", "ssm:GetParameter", self.region)
        with aws_errors_translated(wish):
            yield read_parameter(client("ssm", self.region), self.name)


class TokenSubject(Protocol):
    """Whom a token is for, and where it is good."""

    @property
    def host(self) -> str:
        """The endpoint's own name."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def user(self) -> str:
        """The database's user."""

    @property
    def region(self) -> str:
        """The AWS region that the endpoint's name states; may be empty."""


@dataclass(frozen=True)
class RdsToken:
    """Tokens for IAM authentication, each good for opening connections to one endpoint for 15 minutes.

    They are signed here, with the credentials of whoever opens the connection; nothing is asked of AWS.
    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html

    Attributes:
        region: of the database; may be empty where the endpoint's name states it.
    """

    region: str = ""

    def __call__(self, subject: TokenSubject) -> str:
        """Sign a token.

        Raises:
            AwsError: there are no credentials to sign it with.
            UsageError: the region is not known.
        """
        region = self.region or subject.region
        if not region:
            raise UsageError(
                f"The host {subject.host} does not tell its AWS region.",
                "Name the endpoint as RDS does (tokens are for no other name), or give --aws-region.",
            )
        failure = f"A token for {subject.user} at {subject.host} cannot be signed"
        with aws_errors_translated(Wish(failure, "rds", "rds-db:connect", region)):
            return mint_token(client("rds", region), subject, region)


def read_secret(secretsmanager: Any, name: str, stage: str) -> str:  # noqa: ANN401 - a client of boto3
    """A version of a secret.

    Raises:
        AwsError: it is binary.
    """
    answer = secretsmanager.get_secret_value(SecretId=name, VersionStage=stage)
    if "SecretString" not in answer:
        raise AwsError(f"The secret {name} is binary.", "Store the password as text, or JSON with a password.")
    return str(answer["SecretString"])


def read_parameter(ssm: Any, name: str) -> str:  # noqa: ANN401 - a client of boto3
    """A parameter, decrypted."""
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def mint_token(rds: Any, subject: TokenSubject, region: str) -> str:  # noqa: ANN401 - a client of boto3
    """A token."""
    endpoint = {"DBHostname": subject.host, "Port": subject.port}
    return str(rds.generate_db_auth_token(**endpoint, DBUsername=subject.user, Region=region))
