"""The door: opens every connection, and is the only module that constructs one of the driver's."""

from __future__ import annotations

import socket
from typing import Any

from pg8000 import dbapi

from jobs.dbaccess.errors import ConnectionFailed, driver_errors_translated
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings

CONNECT_TIMEOUT = 15.0
"""Seconds for the TCP connection. It does not stay on as a read timeout: a publish may take hours."""

MAX_APPLICATION_NAME = 63
"""PostgreSQL cuts a longer application_name (NAMEDATALEN - 1)."""


def get_connection_params(
    db_host: str, db_port: int | str, db_name: str, db_user: str, db_password: str
) -> dict[str, Any]:
    """Get connection parameters for pg8000, under pg8000's own names (`database`, not `dbname`)."""
    return {
        "host": db_host,
        "port": int(db_port),
        "database": db_name,
        "user": db_user,
        "password": db_password,
    }


def create_connection(**conn_params: Any) -> dbapi.Connection:  # noqa: ANN401 - whatever pg8000 takes
    """Create a database connection (DB-API 2.0) by pg8000.

    Raises:
        DatabaseError: the server did not let us in, or could not be reached.
    """
    with driver_errors_translated():
        return dbapi.connect(**conn_params)


def connect(settings: Settings, application_name: str) -> Session:
    """Open a session.

    Args:
        settings: where and as whom.
        application_name: what `pg_stat_activity` shows of this connection.

    Raises:
        ConnectionFailed: no server answers there.
        AuthenticationFailed: it does not let this user in.
    """
    params = get_connection_params(
        settings.host,
        settings.port,
        settings.dbname,
        settings.user,
        settings.password() if settings.password else "",
    )
    params["sock"] = _open_socket(settings)
    # The COPY stream is UTF-8 whatever the database's own encoding is.
    params["startup_params"] = {"client_encoding": "UTF8"}
    params["application_name"] = application_name[:MAX_APPLICATION_NAME]
    try:
        return Session(create_connection(ssl_context=False, **params))
    except BaseException:
        params["sock"].close()
        raise


def _open_socket(settings: Settings) -> socket.socket:
    """A connected socket with keep-alive on and no timeout left."""
    try:
        if settings.host.startswith("/"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"{settings.host}/.s.PGSQL.{settings.port}")
        else:
            sock = socket.create_connection((settings.host, settings.port), CONNECT_TIMEOUT)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError as error:
        raise ConnectionFailed(
            f"No server answers at {settings.address}: {error}.",
            "Check host and port, that the server runs, and that a security group or firewall lets this machine in.",
        ) from None
    sock.settimeout(None)
    return sock
