"""From what a job is told about its connection to settings. Here AWS and the database meet."""

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
    """The settings of a connection. The arguments are the jobs' flags, and none is needed: variables fill in.

    Args:
        database_url: a URL: postgresql://user@host:5432/dbname.
        connection: the id of an Airflow connection, which the variable AIRFLOW_CONN_<ID> holds.
        service: a service of libpq's service file.
        secret_id: the name or ARN of a secret of Secrets Manager, which states the password.
        ssm_parameter: the name of a parameter of Parameter Store, likewise.
        iam_auth: tokens of RDS take the place of a password.
        aws_region: of the secret, the parameter or the database, where nothing else states it.
        connect_deadline: seconds for all attempts to connect; 60 by default.
        environ: the environment; this process's by default.
        values: libpq's parameters: host, port, dbname, user, sslmode and others.

    Raises:
        UsageError: a value is missing or cannot be right.
        JobError: AWS did not give the password.
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
    """Settings, and the origin of each value. The arguments are those of `connection`.

    Raises:
        UsageError: a value is missing or cannot be right.
        JobError: AWS did not give the password.
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
    """The credentials of the secret store that is named; None where none is."""
    if secret_id is not None:
        return from_secret(secret_id, region, environ)
    if ssm_parameter is not None:
        return from_parameter(ssm_parameter, region, environ)
    return from_tokens(region) if iam_auth else None


def from_secret(name: str, region: str, environ: Mapping[str, str]) -> Credentials:
    """The credentials in a secret of Secrets Manager. It is read now, and again for each connection's password.

    Args:
        name: the secret's name or ARN.
        region: where it is; may be empty where the ARN, the environment or AWS's config file states it.
        environ: the environment.

    Raises:
        JobError: it cannot be read, or holds no password.
    """
    _refuse_empty(name, "--secret-id")
    secret = Secret(name, find_region(region or region_of_arn(name), environ))
    return _stored(f"secret {name}", secret)


def from_parameter(name: str, region: str, environ: Mapping[str, str]) -> Credentials:
    """The credentials in a parameter of Systems Manager; otherwise as `from_secret`.

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
    """Tokens of RDS, signed for each connection, in place of a password.

    Args:
        region: the database's; may be empty where the host's name states it.
    """
    hint = (
        "Check that IAM authentication is on, that the user was granted rds_iam, that the role may "
        "rds-db:connect as it, and that the host is the endpoint's own name: a token is for no other."
    )
    return Credentials("--iam-auth", RdsToken(region), hint=hint, needs_tls=True)
