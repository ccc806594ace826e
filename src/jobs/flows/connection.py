"""The settings of a connection, for flags, options and callers. This is where AWS and dbaccess meet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from jobs.aws.clients import find_region, region_of_arn
from jobs.aws.credentials import Parameter, RdsToken, Secret
from jobs.dbaccess.conninfo.resolve import Resolved, resolve
from jobs.dbaccess.conninfo.secret_text import StoredPassword, Texts, read_stored
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Credentials, Given
from jobs.dbaccess.errors import UsageError


def connection(
    *,
    database_url: str | None = None,
    connection: str | None = None,
    service: str | None = None,
    secret_id: str | None = None,
    ssm_parameter: str | None = None,
    iam_auth: bool = False,
    aws_region: str = "",
    connect_deadline: float | None = None,
    environ: Mapping[str, str] | None = None,
    **values: object,
) -> Settings:
    """Return the settings of a connection. The arguments are the jobs' flags. Variables supply what is omitted.

    Args:
        database_url: A URL: postgresql://user@host:5432/dbname.
        connection: The id of an Airflow connection, in the variable AIRFLOW_CONN_<ID>.
        service: A service in libpq's service file.
        secret_id: The name or ARN of a secret in Secrets Manager that contains the password.
        ssm_parameter: The name of a parameter in Parameter Store that contains the password.
        iam_auth: Whether to use IAM authentication tokens of RDS instead of a password.
        aws_region: The region of the secret, the parameter or the database, if nothing else states it.
        connect_deadline: Seconds for all attempts to connect; 60 by default.
        environ: The environment variables, by default those of this process.
        values: libpq's parameters: host, port, dbname, user, sslmode and others.

    Raises:
        UsageError: A value is missing or wrong.
        JobError: AWS did not return the password.
    """
    return resolve_connection(
        os.environ if environ is None else environ,
        values={name: str(value) for name, value in values.items()},
        database_url=database_url,
        connection=connection,
        service=service,
        secret_id=secret_id,
        ssm_parameter=ssm_parameter,
        iam_auth=iam_auth,
        aws_region=aws_region,
        connect_deadline=connect_deadline,
    ).settings


def resolve_connection(
    environ: Mapping[str, str],
    *,
    values: Mapping[str, str],
    database_url: str | None,
    connection: str | None,
    service: str | None,
    secret_id: str | None,
    ssm_parameter: str | None,
    iam_auth: bool,
    aws_region: str,
    connect_deadline: float | None,
) -> Resolved:
    """Return the settings, and the origin of each value. The arguments are those of `connection`.

    Raises:
        UsageError: A value is missing or wrong.
        JobError: AWS did not return the password.
    """
    credentials = _credentials(secret_id, ssm_parameter, iam_auth, aws_region, environ)
    given = Given(values=values, url=database_url, connection=connection, service=service, credentials=credentials)
    resolved = resolve(given, environ)
    if connect_deadline is None:
        return resolved
    timeouts = replace(resolved.settings.timeouts, deadline=connect_deadline)
    return replace(resolved, settings=replace(resolved.settings, timeouts=timeouts))


def _credentials(
    secret_id: str | None, ssm_parameter: str | None, iam_auth: bool, region: str, environ: Mapping[str, str]
) -> Credentials | None:
    """Return the credentials in the given secret store; None if none is given."""
    if secret_id is not None:
        return from_secret(secret_id, region, environ)
    if ssm_parameter is not None:
        return from_parameter(ssm_parameter, region, environ)
    return from_tokens(region) if iam_auth else None


def from_secret(name: str, region: str, environ: Mapping[str, str]) -> Credentials:
    """Return the credentials in a secret of Secrets Manager. It is read now, and again for each connection.

    Args:
        name: The secret's name or ARN.
        region: Its region; may be empty if the ARN, the environment or AWS's config file states it.
        environ: The environment variables.

    Raises:
        JobError: It cannot be read, or contains no password.
    """
    _refuse_empty(name, "--secret-id")
    secret = Secret(name, find_region(region or region_of_arn(name), environ))
    return _stored(f"secret {name}", secret)


def from_parameter(name: str, region: str, environ: Mapping[str, str]) -> Credentials:
    """Return the credentials in a parameter of Systems Manager, like `from_secret`.

    Raises:
        JobError: It cannot be read, or contains no password.
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
    """Return tokens of RDS, signed for each connection, in place of a password.

    Args:
        region: The database's region; may be empty if the host's name contains it.
    """
    hint = (
        "Check that IAM authentication is on, that the user was granted rds_iam, that the role may "
        "rds-db:connect as it, and that the host is the endpoint's own name: a token is for no other."
    )
    return Credentials("--iam-auth", RdsToken(region), hint=hint, needs_tls=True)
