"""Where AWS and the database meet: what AWS keeps or signs, as credentials for connecting."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.aws.clients import find_region, region_of_arn
from jobs.aws.credentials import Parameter, RdsToken, Secret
from jobs.dbaccess.conninfo.secret_text import StoredPassword, Texts, read_stored
from jobs.dbaccess.conninfo.sources import Credentials
from jobs.dbaccess.errors import UsageError


def chosen(
    secret_id: str | None, ssm_parameter: str | None, iam_auth: bool, region: str, environ: Mapping[str, str]
) -> Credentials | None:
    """The credentials of whichever keeper is named; None for none.

    Raises:
        JobError: as the others here.
    """
    if secret_id is not None:
        return from_secret(secret_id, region, environ)
    if ssm_parameter is not None:
        return from_parameter(ssm_parameter, region, environ)
    return from_tokens(region) if iam_auth else None


def from_secret(name: str, region: str, environ: Mapping[str, str]) -> Credentials:
    """What a secret of Secrets Manager states. It is read now for that, and for each connection for its password.

    Args:
        name: the secret's name or ARN.
        region: where it is; may be empty where the ARN, the environment or AWS's config file tells it.
        environ: the environment.

    Raises:
        JobError: it cannot be read, or holds no password.
    """
    _refuse_empty(name, "--secret-id")
    secret = Secret(name, find_region(region or region_of_arn(name), environ))
    return _stored(f"secret {name}", secret)


def from_parameter(name: str, region: str, environ: Mapping[str, str]) -> Credentials:
    """What a parameter of Systems Manager states; otherwise as `from_secret`.

    Raises:
        JobError: it cannot be read, or holds no password.
    """
    _refuse_empty(name, "--ssm-parameter")
    parameter = Parameter(name, find_region(region or region_of_arn(name), environ))
    return _stored(f"parameter {name}", parameter)


def _refuse_empty(name: str, flag: str) -> None:
    if not name:
        raise UsageError(f"{flag} is empty.", "Give the name, or check the variable that was to hold it.")


def _stored(origin: str, texts: Texts) -> Credentials:
    stated = read_stored(next(iter(texts())), origin)
    del stated["password"]
    hint = f"The {origin} has another password than the server for this user, or its user may not log in from here."
    return Credentials(origin, StoredPassword(origin, texts), stated, hint)


def from_tokens(region: str) -> Credentials:
    """Tokens of RDS in place of a password, signed for each connection.

    Args:
        region: the database's; may be empty where the host's name tells it.
    """
    hint = (
        "Check that IAM authentication is on, that the user was granted rds_iam, that the role may "
        "rds-db:connect as it, and that the host is the endpoint's own name: a token is for no other."
    )
    return Credentials("--iam-auth", RdsToken(region), hint=hint, needs_tls=True)
