"""The way to the server: the store of the password, the server's name, its port, TLS, and the login."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from jobs.aws import endpoints
from jobs.aws.clients import find_region, region_of_arn
from jobs.dbaccess.conninfo.resolve import Resolved
from jobs.dbaccess.conninfo.settings import Login, Server, Settings
from jobs.dbaccess.errors import TlsFailed
from jobs.dbaccess.network import sockets
from jobs.dbaccess.network.tls import context_for
from jobs.dbaccess.poolers import TransactionPooling
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session
from jobs.flows.doctor.finding import FAULT, OK, WARNING, Failed, Finding, checking, fault, judged

SOON = 30
"""Days before its end from which a certificate is to be renewed. Authorities send their reminders then."""

_DAY = 86_400


@dataclass(frozen=True)
class Store:
    """The store of AWS that has the password.

    Attributes:
        service: As in the name of its endpoint: secretsmanager, ssm; empty for tokens, which are signed here.
        name: Of the secret or parameter.
        region: Returns its region.
    """

    service: str
    name: str = ""
    region: Callable[[], str] = str


def store_of(
    secret_id: str | None, ssm_parameter: str | None, iam_auth: bool, region: str, environ: Mapping[str, str]
) -> Store | None:
    """Return the store of AWS that has the password, by the arguments of `connection`; None if none does."""
    if iam_auth:
        return Store("")
    name = secret_id or ssm_parameter
    if not name:
        return None
    kind, service = ("secret", "secretsmanager") if secret_id else ("parameter", "ssm")
    return Store(service, f"{kind} {name}", lambda: find_region(region or region_of_arn(name), environ))


def settings_of(resolve: Callable[[], Resolved], store: Store | None) -> Generator[Finding, None, Settings]:
    """Yield the findings about the settings and the store, and return the settings.

    Raises:
        Failed: There are none.
    """
    if store is not None and store.service:
        with checking("endpoint"):
            reached = endpoints.reach(store.service, store.region())
        yield Finding("endpoint", OK, str(reached))
    with checking("secret" if store is not None and store.service else "settings"):
        settings = resolve().settings
    if store is not None and store.service:
        yield Finding("secret", OK, f"{store.name} was read")
    yield Finding("settings", OK, f"{settings.user} at {settings.address}, sslmode {settings.tls.mode}")
    if store is not None and not store.service and settings.password is not None:
        with checking("token"):
            for server in settings.servers:
                settings.password(Login(server.host, server.port, settings.user, settings.dbname))
        yield Finding("token", OK, f"signed for {settings.user}")
    return settings


def to_servers(settings: Settings) -> Iterator[Finding]:
    """Yield the findings on the way to each server. One that can be reached is enough.

    Raises:
        Failed: None can be reached.
    """
    reached = 0
    for server in settings.servers:
        try:
            yield from _way(server, settings)
            reached += 1
        except Failed as failure:
            if len(settings.servers) == 1:
                raise
            yield replace(failure.finding, state=WARNING)
    if not reached:
        names = ", ".join(map(str, settings.servers))
        raise Failed(Finding("port", FAULT, f"none of {names} can be used", "See the warnings above."))


def _way(server: Server, settings: Settings) -> Iterator[Finding]:
    """Yield the findings on the way to one server.

    Raises:
        Failed: A check fails.
    """
    if server.host.startswith("/"):
        return
    with checking("name"):
        address = sockets.address_of(server)
    yield Finding("name", OK, f"{server.host} is {address}")
    with checking("port"):
        opened = sockets.open_socket(server, settings.timeouts)
    with closing(opened) as sock:
        yield Finding("port", OK, f"{server} answers")
        with checking("TLS"):
            yield _tls(sock, server, settings)


def _tls(sock: sockets.WireSocket, server: Server, settings: Settings) -> Finding:
    """Return the finding about encryption.

    Raises:
        JobError: The server cannot be reached as securely as requested.
    """
    mode = settings.tls.mode
    remote = not server.is_local
    if mode == "disable":
        return judged("TLS", "off: sslmode is disable", "Give --sslmode verify-full." if remote else "")
    if sockets.offers_tls(sock, server):
        with closing(sockets.secured(sock, server, context_for(settings.tls, server.host))) as encrypted:
            found, problem = _certificate(encrypted.getpeercert() or {}, remote)
            return judged("TLS", f"{encrypted.version()}, {found}", problem)
    if mode not in ("prefer", "allow"):
        raise TlsFailed(f"{server} does not offer TLS, and sslmode={mode} requires it.", "Set ssl = on there.")
    return judged("TLS", "the server does not offer it", "Set ssl = on there." if remote else "")


def _certificate(shown: Mapping[str, Any], remote: bool) -> tuple[str, str]:
    """Return what is known of the server's certificate, and what to do. It is known only if it was verified."""
    issuer = {name: value for part in shown.get("issuer", ()) for name, value in part}
    if not issuer:
        return "the certificate is not verified in this sslmode", "Give --sslmode verify-full." if remote else ""
    end = str(shown.get("notAfter"))
    days = (ssl.cert_time_to_seconds(end) - time.time()) / _DAY
    found = f"verified, issued by {issuer.get('commonName', 'nobody named')}, valid until {end}"
    return found, f"Renew the certificate: it is valid for {days:.0f} more days." if days < SOON else ""


def log_in(settings: Settings) -> Session:
    """Open a session.

    Raises:
        Failed: The server does not accept the login, or a pooler is in the way.
    """
    with checking("login"):
        try:
            return connect_pinned(settings, "pgjobs doctor")
        except TransactionPooling as error:
            raise Failed(fault("pooler", error)) from None


def pooler(session: Session) -> Finding:
    """Return whether a pooler is between."""
    if not session.backend.pooled:
        return Finding("pooler", OK, "none: the login leads to the server's own process")
    return Finding("pooler", OK, "in session mode (PgBouncer or similar), whose pool limits connections, too")
