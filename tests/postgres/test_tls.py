"""TLS with good and bad certificates, and with peers that misbehave: libpq's six modes keep their promises."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from peers import Handler, answering, peer, tls_front

from jobs.dbaccess.conninfo.settings import SYSTEM_ROOTS, Pem, Server, Settings, Timeouts, Tls
from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, TlsFailed, UsageError
from jobs.dbaccess.network import sockets
from jobs.dbaccess.network.tls import context_for
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

ONCE = Timeouts(connect_timeout=60, deadline=0)
NOW = dt.datetime.now(dt.timezone.utc)
DAY = dt.timedelta(days=1)

AUTHORITY = trustme.CA()
OTHER_AUTHORITY = trustme.CA()


def roots(authority: trustme.CA) -> Pem:
    return Pem("ca.pem", authority.cert_pem.bytes().decode())


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


CERTIFICATES: dict[str, Callable[[], trustme.LeafCert]] = {
    "good": lambda: AUTHORITY.issue_cert("localhost"),
    "wrong name": lambda: AUTHORITY.issue_cert("other.example.com"),
    "expired": lambda: AUTHORITY.issue_cert("localhost", not_before=NOW - 2 * DAY, not_after=NOW - DAY),
    "not yet valid": lambda: AUTHORITY.issue_cert("localhost", not_before=NOW + DAY, not_after=NOW + 2 * DAY),
    "unknown authority": lambda: OTHER_AUTHORITY.issue_cert("localhost"),
}


@dataclass
class Front:
    """Opens sessions through a peer at localhost."""

    settings: Settings
    stack: ExitStack

    def open(self, handle: Handler, tls: Tls) -> Session:
        port = self.stack.enter_context(peer(handle))
        settings = replace(self.settings, servers=(Server("localhost", port, "127.0.0.1"),), tls=tls, timeouts=ONCE)
        return self.stack.enter_context(connect(settings, "tls"))

    def backend(self) -> tuple[str, int]:
        server = self.settings.servers[0]
        return server.host, server.port


@pytest.fixture
def front(database: Settings) -> Iterator[Front]:
    with ExitStack() as stack:
        yield Front(database, stack)


@pytest.mark.parametrize(
    ("certificate", "mode", "refused"),
    [
        ("good", "verify-full", None),
        ("good", "verify-ca", None),
        ("good", "require", None),
        ("wrong name", "verify-ca", None),
        ("wrong name", "verify-full", "certificate is not valid for|Hostname mismatch"),
        ("expired", "verify-ca", "has expired"),
        ("expired", "verify-full", "has expired"),
        ("not yet valid", "verify-full", "not yet valid"),
        ("unknown authority", "verify-ca", "--sslrootcert"),
        ("unknown authority", "verify-full", "--sslrootcert"),
        ("unknown authority", "require", "--sslrootcert"),  # as in libpq, roots that are stated are used
    ],
)
def test_a_certificate_satisfies_a_mode_or_is_refused_by_its_fault(
    front: Front, certificate: str, mode: str, refused: str | None
) -> None:
    handle = tls_front(front.backend(), serving(CERTIFICATES[certificate]()))
    tls = Tls(mode, roots(AUTHORITY))
    if refused is None:
        assert front.open(handle, tls).run("SELECT 1") == [[1]]
    else:
        with pytest.raises(TlsFailed, match=refused):
            front.open(handle, tls)


@pytest.mark.parametrize("certificate", list(CERTIFICATES))
def test_require_without_roots_encrypts_whatever_the_certificate(front: Front, certificate: str) -> None:
    handle = tls_front(front.backend(), serving(CERTIFICATES[certificate]()))
    assert front.open(handle, Tls("require")).run("SELECT 1") == [[1]]


def test_a_self_signed_certificate_is_refused_and_accepted_as_its_own_root(front: Front, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    handle = tls_front(front.backend(), context)
    with pytest.raises(TlsFailed, match=r"self.signed"):
        front.open(handle, Tls("verify-full", roots(AUTHORITY)))
    assert front.open(handle, Tls("verify-full", Pem("own", certificate.read_text()))).run("SELECT 1") == [[1]]


def self_signed(directory: Path) -> Path:
    """As `openssl req -x509` makes it: no authority, and no key identifiers, which Python 3.13 is strict about."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "self-signed.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_the_systems_roots_do_not_know_an_authority_of_ones_own(front: Front) -> None:
    handle = tls_front(front.backend(), serving(CERTIFICATES["good"]()))
    with pytest.raises(TlsFailed, match="sslrootcert"):
        front.open(handle, Tls("verify-full", SYSTEM_ROOTS))
    with pytest.raises(TlsFailed, match="sslrootcert"):
        front.open(handle, Tls("verify-full"))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (b"N", TlsFailed, "does not offer TLS"),
        (b"", ConnectionFailed, "closed the connection when TLS was requested"),
        (b"\xff garbage", TlsFailed, "does not speak PostgreSQL's protocol"),
        (b"HTTP/1.1 400 Bad Request\r\n", TlsFailed, "does not speak PostgreSQL's protocol"),
        (b"S", DatabaseError, "hung up|EOF|UNEXPECTED_EOF"),
        (b"Sgarbage that is no handshake", TlsFailed, "failed: .*(WRONG_VERSION|RECORD|wrong version|record layer)"),
    ],
)
def test_require_and_more_never_fall_back_to_plain_text(
    front: Front, mode: str, answer: bytes, error: type[DatabaseError], told: str
) -> None:
    seen: list[bytes] = []

    def handle(connection: object) -> None:
        answering(answer)(connection)  # type: ignore[arg-type] # a socket
        seen.append(connection.recv(65536))  # type: ignore[attr-defined] # a socket

    with pytest.raises(error, match=told):
        front.open(handle, Tls(mode, roots(AUTHORITY)))
    assert all(front.settings.user.encode() not in data for data in seen)


def test_prefer_takes_plain_text_where_tls_is_not_offered(front: Front) -> None:
    server = front.settings.servers[0]
    settings = replace(front.settings, tls=Tls("prefer"), timeouts=ONCE)
    with connect(settings, "tls") as session:
        assert session.run("SELECT 1") == [[1]]
    assert server.is_local


def test_disable_asks_for_nothing(front: Front) -> None:
    with connect(replace(front.settings, tls=Tls("disable")), "tls") as session:
        assert session.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [[False]]


def test_a_connection_in_plain_text_is_told_once_and_not_for_this_machine(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Timeouts(connect_timeout=0.2, deadline=0)
    with caplog.at_level(logging.WARNING, sockets.logger.name):
        for host, hostaddr in [
            ("db.example.com", "127.0.0.1"),
            ("localhost", ""),
            ("far.example.com", "192.0.2.1"),
        ] * 2:
            for transport in sockets.transports(Server(host, 1, hostaddr), Tls("disable"), nowhere):
                with pytest.raises(DatabaseError):
                    transport()
    assert [record.getMessage() for record in caplog.records] == [
        "The connection to far.example.com:1 is not encrypted. Give --sslmode verify-full."
    ]


def test_roots_that_are_no_certificates_are_refused() -> None:
    with pytest.raises(UsageError, match=r"junk\.pem \(sslrootcert\) holds no certificate"):
        context_for(Tls("verify-full", Pem("junk.pem", "junk")), "h")


def test_the_rds_bundle_is_trusted_beside_the_systems_roots_for_rds_alone() -> None:
    def authorities(host: str) -> set[str]:
        context = context_for(Tls("verify-full"), host)
        subjects: list[Any] = [authority["subject"] for authority in context.get_ca_certs()]
        return {value for subject in subjects for [(key, value), *_] in subject if key == "commonName"}

    for_rds = authorities("shop.abc.eu-west-1.rds.amazonaws.com")
    elsewhere = authorities("db.example.com")
    assert "Amazon RDS eu-west-1 Root CA RSA2048 G1" in for_rds
    assert for_rds - elsewhere == {name for name in for_rds if "RDS" in name}
    assert elsewhere <= for_rds


def test_the_public_certificate_of_an_rds_proxy_is_trusted(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = "shop.proxy-abc123.eu-west-1.rds.amazonaws.com"
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "system.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))  # OpenSSL's name for the system's roots
    handle = tls_front(front.backend(), serving(AUTHORITY.issue_cert(host)))
    with peer(handle) as port:
        proxy = replace(front.settings, servers=(Server(host, port, "127.0.0.1"),), tls=Tls("verify-full"))
        connect(replace(proxy, timeouts=ONCE), "tls").close()


def test_contexts_are_made_once_for_they_take_longer_than_a_login() -> None:
    assert context_for(Tls("verify-full"), "h") is context_for(Tls("verify-full"), "h")
