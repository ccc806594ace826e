"""Opens every connection. This is the only module that constructs a connection of the driver."""

from __future__ import annotations

import logging
import random
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from jobs.dbaccess import poolers
from jobs.dbaccess.conninfo.settings import Login, Server, Settings, Timeouts
from jobs.dbaccess.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    DatabaseError,
    TlsFailed,
    TransientError,
    UsageError,
    broken_protocol,
    driver_errors_translated,
)
from jobs.dbaccess.network import sockets
from jobs.dbaccess.network.conversation import Conversation
from jobs.dbaccess.network.driver import Connection
from jobs.dbaccess.network.hearing import READERS
from jobs.dbaccess.session import Backend, Session
from jobs.dbaccess.sql import is_text

MAX_APPLICATION_NAME = 63
"""PostgreSQL truncates a longer application_name (NAMEDATALEN - 1)."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds between rounds of attempts. They double, and are randomly shortened, so that tasks do not retry in step."""

logger = logging.getLogger(__name__)


def get_connection_params(
    db_host: str, db_port: int | str, db_name: str, db_user: str, db_password: str
) -> dict[str, Any]:
    """Return connection parameters for pg8000, under pg8000's own names (`database`, not `dbname`)."""
    return {
        "host": db_host,
        "port": int(db_port),
        "database": db_name,
        "user": db_user,
        "password": db_password,
    }


def create_connection(**conn_params: Any) -> Connection:  # noqa: ANN401 - whatever pg8000 accepts
    """Create a database connection (DB-API 2.0) with pg8000.

    Raises:
        DatabaseError: The server rejected the login, or could not be reached. This and the errors of the connection's
            cursors are both `jobs.dbaccess.errors.DatabaseError` and `pg8000.exceptions.DatabaseError`.
    """
    with driver_errors_translated():
        return Connection(**conn_params)


@dataclass(frozen=True)
class Clock:
    """Time, as a parameter."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


def connect(settings: Settings, application_name: str, clock: Clock = Clock()) -> Session:
    """Open a session on the first available server.

    Temporary failures (starting up, too many connections, refused, reset, no route yet, no server with the wanted role)
    are retried until the settings' deadline. Permanent ones, above all a wrong password, are not.

    Args:
        settings: Where to connect, as whom, and how.
        application_name: The name shown in `pg_stat_activity`, unless the settings contain one.
        clock: The clock, for tests.

    Raises:
        DatabaseError: The error of the last round of attempts. The message contains the answer of every server.
    """
    deadline = clock.now() + settings.timeouts.deadline
    pause = FIRST_PAUSE
    while True:
        try:
            return _first_that_serves(settings, application_name)
        except DatabaseError as error:
            rest = deadline - clock.now()
            if not error.transient or rest <= 0:
                raise
            logger.warning("%s Trying again for %.0f s.", error.message, rest)
            clock.sleep(min(pause * (0.5 + clock.chance() / 2), rest))
            pause = min(pause * 2, LONGEST_PAUSE)


def connect_pinned(settings: Settings, application_name: str) -> Session:
    """Open a session for our own statements: none of them can call what others have created on the user's search_path.

    It may be idle for as long as it likes, in a transaction or not, unless the settings state a limit: a driver's
    session is idle while parts are copied, and a task's transaction while Spark computes the first rows.

    Raises:
        DatabaseError: As for `connect`.
    """
    session = connect(settings, application_name)
    try:
        session.pin()
        session.run(_NO_IDLE_LIMITS, [name for name in _IDLE_LIMITS if name not in dict(settings.startup)])
    except BaseException:
        session.close()
        raise
    return session


_IDLE_LIMITS = ("idle_session_timeout", "idle_in_transaction_session_timeout")

_NO_IDLE_LIMITS = (
    "SELECT set_config(name, '0', false) FROM unnest(%s::text[]) AS name WHERE current_setting(name, true) <> '0'"
)
"""Of those that the server has: before version 14, it has no limit for idle sessions."""


def _first_that_serves(settings: Settings, application_name: str) -> Session:
    """Try all servers once; with prefer-standby, a second time for any role."""
    failures: list[DatabaseError] = []
    wanted = settings.target_session_attrs
    for attrs in ("standby", "any") if wanted == "prefer-standby" else (wanted,):
        for server in settings.servers:
            try:
                return _open_wanted(settings, server, application_name, attrs)
            except AuthenticationFailed:
                raise
            except DatabaseError as error:
                failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    kind = TransientError if any(failure.transient for failure in failures) else DatabaseError
    messages = dict.fromkeys(failure.message for failure in failures)
    raise kind(f"No server of {settings.address} serves: {' '.join(messages)}", failures[0].hint)


def _open_wanted(settings: Settings, server: Server, application_name: str, attrs: str) -> Session:
    """Open a session on this server, if it has the wanted role."""
    session = _open(settings, server, application_name)
    try:
        if session.backend.pooled:
            poolers.check(session, lambda: _open(settings, server, application_name))
        if attrs != "any":
            _check_kind(session, server, attrs)
    except BaseException:
        session.close()
        raise
    return session


def _check_kind(session: Session, server: Server, attrs: str) -> None:
    [in_recovery, read_only] = session.row(
        2, "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean"
    )
    serves = {
        "read-write": not read_only,
        "read-only": read_only,
        "primary": not in_recovery,
        "standby": in_recovery,
    }
    if not serves[attrs]:
        kind = "a standby" if in_recovery else "read-only" if read_only else "a primary that takes writes"
        raise TransientError(f"{server} is {kind}, and not {attrs}.", "Check target_session_attrs and the hosts.")


def _open(settings: Settings, server: Server, application_name: str) -> Session:
    """Log in. If the password is rejected and its source has another one by now, log in once more."""
    password = _password(settings, server)
    try:
        try:
            return _log_in(settings, server, application_name, password)
        except AuthenticationFailed:
            renewed = _password(settings, server)
            if renewed == password:
                raise
            return _log_in(settings, server, application_name, renewed)
    except AuthenticationFailed as error:
        hint = error.hint
        if error.wants_password:
            hint = settings.login_hint or (_HOW_TO_GIVE_ONE if password is None else hint)
        raise AuthenticationFailed(error.message, hint, error.sqlstate) from None


def _password(settings: Settings, server: Server) -> str | None:
    """Return the password for a server, read now.

    Raises:
        UsageError: It cannot be sent.
    """
    if settings.password is None:
        return None
    password = settings.password(Login(server.host, server.port, settings.user, settings.dbname))
    if not is_text(password):
        raise UsageError("The password contains NUL, or bytes that are not UTF-8.", "Store it as UTF-8.")
    return password


_HOW_TO_GIVE_ONE = "No password was given: set PGPASSWORD, or add a line to ~/.pgpass."


def _log_in(settings: Settings, server: Server, application_name: str, password: str | None) -> Session:
    """Try each kind of transport that sslmode allows, and raise the last one's failure."""
    params = get_connection_params(server.host, server.port, settings.dbname, settings.user, password or "")
    # The COPY stream is UTF-8, whatever the database's own encoding is.
    params["startup_params"] = {**dict(settings.startup), "client_encoding": "UTF8"}
    params["application_name"] = (settings.application_name or application_name)[:MAX_APPLICATION_NAME]
    *others, last = sockets.transports(server, settings.tls, settings.timeouts)
    for transport in others:
        try:
            return _start_session(transport(), params, server, settings.timeouts)
        except (TlsFailed, ConnectionFailed):
            continue
        except AuthenticationFailed as error:
            if error.sqlstate != _NOT_BY_THIS_TRANSPORT:
                raise
    return _start_session(last(), params, server, settings.timeouts)


_NOT_BY_THIS_TRANSPORT = "28000"
"""pg_hba.conf has no entry for this user with this transport (hostssl, hostnossl)."""


def _start_session(sock: sockets.WireSocket, params: Mapping[str, Any], server: Server, timeouts: Timeouts) -> Session:
    """Log in over a socket, make the server monitor the connection, too, and end the connect timeout."""
    try:
        connection = create_connection(sock=sock, ssl_context=False, **params)
        for oid, read in READERS.items():
            connection.register_in_adapter(oid, read)
        cursor = connection.cursor()
        connection.autocommit = True
        with driver_errors_translated():
            cursor.execute("; ".join([*_watching(timeouts), _IDENTIFY]))
            pid, started, label = _identity(cursor.fetchall() if cursor.description else [])
    except BaseException as error:
        if isinstance(error, AuthenticationFailed):
            error.wants_password = sock.drivers_file.wants_password
        sockets.abandon(sock)
        raise
    sockets.settle(sock)
    key = connection._backend_key_data or bytes(4)  # noqa: SLF001 - not public; a proxy may have none
    [pid_of_login] = struct.unpack_from("!i", key)
    backend = Backend(pid, started, label, pid_of_login != pid)
    return Session(Conversation(connection, sock), sockets.reached(sock, server), backend)


def _identity(rows: Sequence[Sequence[object]]) -> tuple[int, str, str]:
    """Return the server's answer to `_IDENTIFY`.

    Raises:
        ProtocolBroken: It is not the expected answer.
    """
    [row] = rows if len(rows) == 1 else [()]
    if [type(value) for value in row] != [int, str, str]:
        raise broken_protocol("it did not report the process of this session")
    pid, started, label = row
    return cast(int, pid), str(started), str(label)


_IDENTIFY = (
    "SELECT pid, EXTRACT(epoch FROM backend_start)::pg_catalog.text, application_name "
    "FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())"
)


def _watching(timeouts: Timeouts) -> list[str]:
    """Return statements by which the server detects that this process has ended. Until then it keeps its locks.

    They are not sent with the login, because poolers would refuse it. On a Unix socket they have no effect.
    """
    settings = {"tcp_user_timeout": int(timeouts.user_timeout * 1000)}
    if timeouts.keepalive:
        settings["tcp_keepalives_idle"] = timeouts.idle
        settings["tcp_keepalives_interval"] = timeouts.interval
        settings["tcp_keepalives_count"] = timeouts.count
    return [f"SET {name} = {value}" for name, value in settings.items()]
