"""Spark Connect: what its clients lack (the JVM, tasks of their own) is done by the server, through `pgcopy`.

A client sends plans. So the options of `pgcopy` are all that the server learns of a connection, and each of them can be
seen in the server's plans. A password is none of them: the server has it, or reads it where the client does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobs.aws.credentials import Parameter, RdsToken, Secret
from jobs.dbaccess import errors
from jobs.dbaccess.conninfo.secret_text import StoredPassword
from jobs.dbaccess.conninfo.settings import PasswordByServer, Pem, Settings, StaticPassword, Timeouts, Tls
from jobs.dbaccess.conninfo.uri import write_uri
from jobs.dbaccess.errors import JobError, UsageError

FORMAT = "pgcopy"


def is_remote(spark_object: object) -> bool:
    """Return whether a session or a DataFrame is one of Spark Connect."""
    return type(spark_object).__module__.startswith("pyspark.sql.connect.")


def check_version(version: str) -> None:
    """Check that the server's Spark has Python data sources.

    Raises:
        UsageError: It has none.
    """
    if int(version.partition(".")[0]) < _FIRST:
        raise UsageError(
            f"Through Spark Connect, tables are loaded and extracted by {FORMAT}, which Spark {version} cannot have.",
            f"Use Spark {_FIRST}, or a session without Connect.",
        )


_FIRST = 4


def connection_options(settings: Settings) -> dict[str, str]:
    """Return the options of `pgcopy` for a connection, without a password.

    Raises:
        UsageError: The server could not make this connection.
    """
    options = {"databaseUrl": write_uri(_stated(settings)), **_credentials(settings.password)}
    if settings.timeouts.deadline != Timeouts().deadline:
        options["connectDeadline"] = str(settings.timeouts.deadline)
    return options


def _stated(settings: Settings) -> dict[str, str]:
    """Return libpq's parameters, as far as they differ from its defaults."""
    servers, tls = settings.servers, settings.tls
    if tls.key_password is not None:
        raise UsageError("The password of sslkey cannot be sent through Spark Connect.", "Decrypt the key file there.")
    stated = {
        "host": ",".join(server.host for server in servers),
        "port": ",".join(str(server.port) for server in servers),
        "dbname": settings.dbname,
        "user": settings.user,
        "hostaddr": ",".join(server.hostaddr for server in servers).strip(","),
        "target_session_attrs": settings.target_session_attrs.replace("any", ""),
        "options": " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.startup),
        **_files(tls),
    }
    return {name: text for name, text in {**stated, "sslmode": tls.mode}.items() if text}


def _files(tls: Tls) -> dict[str, str]:
    """Return the paths of certificates, which are those of the server's files."""
    files = {"sslrootcert": tls.roots, "sslcert": tls.certificate, "sslkey": tls.key}
    return {name: file.path if isinstance(file, Pem) else file or "" for name, file in files.items()}


def _escaped(value: str) -> str:
    return re.sub(r"([\\\s])", r"\\\1", value)


def _credentials(password: object) -> dict[str, str]:
    """Return where the server has the password from; nothing for one of its own variables or files."""
    if password is None or isinstance(password, (StaticPassword, PasswordByServer)):
        return {}
    if isinstance(password, RdsToken):
        return {"iamAuth": "true", **_region(password.region)}
    texts = password.texts if isinstance(password, StoredPassword) else None
    if isinstance(texts, Secret):
        return {"secretId": texts.name, **_region(texts.region)}
    if isinstance(texts, Parameter):
        return {"ssmParameter": texts.name, **_region(texts.region)}
    raise UsageError(
        "The password of this connection cannot be sent through Spark Connect.",
        "Use secret_id, ssm_parameter or iam_auth, or set PGPASSWORD for the server.",
    )


def _region(region: str) -> dict[str, str]:
    return {"awsRegion": region} if region else {}


@contextmanager
def remote_errors_translated() -> Iterator[None]:
    """Raise our own error where the server's Python raised it: Connect sends a trace in which it is a line."""
    try:
        yield
    except JobError:
        raise
    except Exception as error:
        translated = translate(str(error))
        if translated is None:
            raise
        raise translated from None


def translate(trace: str) -> JobError | None:
    """Return our own error that a trace ends with; None if it ends with another one."""
    found = _OURS.findall(trace)
    if not found:
        return None
    name, message = found[-1]
    kind: Any = getattr(errors, name, JobError)
    if not (isinstance(kind, type) and issubclass(kind, JobError)):
        kind = JobError
    error: JobError = kind(message)
    code = _SQLSTATE.search(message)
    if isinstance(error, errors.DatabaseError) and code:
        error.sqlstate = code[1]
    return error


_OURS = re.compile(r"^jobs(?:\.\w+)+\.(\w+): (.+)$", re.MULTILINE)
_SQLSTATE = re.compile(r"\(SQLSTATE (\w{5})\)")
