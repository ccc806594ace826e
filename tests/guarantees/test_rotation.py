"""Passwords that change while a job runs, and tokens in place of passwords, on a server that asks for them."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme
from cloud import store_parameter, store_secret
from peers import error_response, peer, ssl_request
from server_folder import server_folder, serving

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.secret_text import StoredPassword
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Credentials, Given
from jobs.dbaccess.errors import AuthenticationFailed, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.connection import from_parameter, from_secret, from_tokens
from servermgr.postgres import Manager

Environ = Mapping[str, str]


@dataclass(frozen=True)
class Locked:
    """A server whose user `loader` wants a password."""

    port: int
    admin: Session

    def change_password(self, password: str) -> None:
        self.admin.run(f"ALTER ROLE loader PASSWORD '{password}'")

    def given(self, credentials: Credentials) -> Given:
        where = {"host": "127.0.0.1", "port": str(self.port), "dbname": "postgres", "user": "loader"}
        return Given(where, credentials=credentials)

    def settings(self, credentials: Credentials) -> Settings:
        return resolve(self.given(credentials), {}).settings


@pytest.fixture(scope="module")
def locked() -> Iterator[Locked]:
    with server_folder() as directory:
        manager = Manager(
            "127.0.0.1",
            0,
            directory / "data",
            initialize=True,
            auth="scram-sha-256",
            password="admin's",
            settings={"fsync": "off"},
        )
        with serving(manager):
            settings = resolve(Given(url=manager.url()), {"PGPASSWORD": "admin's"}).settings
            with connect(settings, "t") as admin:
                admin.run("CREATE ROLE loader LOGIN")
                yield Locked(manager.port, admin)


def answers(settings: Settings) -> bool:
    with connect(settings, "t") as session:
        return session.run("SELECT current_user") == [["loader"]]


def test_a_rotation_in_mid_job_changes_nothing_for_its_connections(locked: Locked, aws: Environ) -> None:
    locked.change_password("first")
    store_secret(aws, "shop/loader", '{"username": "loader", "password": "first"}')
    settings = locked.settings(from_secret("shop/loader", "", aws))
    with connect(settings, "t") as opened_before:
        locked.change_password("second")
        store_secret(aws, "shop/loader", '{"username": "loader", "password": "second"}')
        assert answers(settings)
        assert opened_before.run("SELECT 1") == [[1]]


def test_a_rotation_between_reading_and_logging_in_is_noticed(locked: Locked, aws: Environ) -> None:
    locked.change_password("first")
    store_secret(aws, "raced", "first")
    secret = from_secret("raced", "", aws)
    reads = []

    def rotated_behind_the_first_reader() -> Iterator[str]:
        assert isinstance(secret.password, StoredPassword)
        reads.append(next(iter(secret.password.texts())))
        if len(reads) == 1:
            locked.change_password("second")
            store_secret(aws, "raced", "second")
        yield reads[-1]

    assert answers(
        locked.settings(replace(secret, password=StoredPassword("secret raced", rotated_behind_the_first_reader)))
    )
    assert reads == ["first", "second"]


def test_a_parameter_that_changes_in_mid_job_is_read_again(locked: Locked, aws: Environ) -> None:
    locked.change_password("first")
    store_parameter(aws, "/shop/password", "first")
    settings = locked.settings(from_parameter("/shop/password", "", aws))
    locked.change_password("second")
    store_parameter(aws, "/shop/password", "second")
    assert answers(settings)


def test_a_secret_with_another_password_than_the_server_is_named_and_not_shown(locked: Locked, aws: Environ) -> None:
    store_secret(aws, "stale", "pl4nted")
    with pytest.raises(AuthenticationFailed, match="The secret stale has another password than the server") as caught:
        answers(locked.settings(from_secret("stale", "", aws)))
    assert "pl4nted" not in repr(caught.value)


# A password in the clear is what RDS asks for, under TLS, when a user was granted rds_iam.
HOST = "shop.abc123.eu-west-1.rds.amazonaws.com"
AUTHORITY = trustme.CA()


class Rds:
    """Asks for a token as RDS does, keeps it, and refuses it as RDS does."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert(HOST).configure_cert(self.context)

    def handle(self, connection: socket.socket) -> None:
        ssl_request(connection)
        connection.sendall(b"S")
        with self.context.wrap_socket(connection, server_side=True) as client:
            client.recv(4096)
            client.sendall(b"R" + struct.pack("!ii", 8, 3))  # AuthenticationCleartextPassword
            self.tokens.append(client.recv(4096)[5:-1].decode())
            client.sendall(error_response("28000", 'PAM authentication failed for user "loader"'))


def iam(port: int, roots: Path, **values: str) -> Settings:
    stated = {"host": HOST, "hostaddr": "127.0.0.1", "port": str(port), "dbname": "shop", "user": "loader", **values}
    return resolve(Given({**stated, "sslrootcert": str(roots)}, credentials=from_tokens("")), {}).settings


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.mark.usefixtures("aws")
def test_a_token_goes_to_the_host_that_it_is_for_under_verified_tls_and_a_refusal_says_what_to_check(
    roots: Path,
) -> None:
    rds = Rds()
    with peer(rds.handle) as port:
        settings = iam(port, roots)
        assert settings.tls.mode == "verify-full"
        with pytest.raises(AuthenticationFailed, match=r"PAM authentication failed.*granted rds_iam") as caught:
            connect(settings, "t")
    assert rds.tokens[0].startswith(f"{HOST}:{port}/?Action=connect&DBUser=loader&")
    assert all(token not in f"{caught.value!r} {settings!r}" for token in rds.tokens)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_a_token_may_not_travel_in_plain_text(roots: Path, mode: str) -> None:
    with pytest.raises(UsageError, match=rf"--iam-auth needs TLS, and sslmode={mode} \(from --sslmode\)"):
        iam(5432, roots, sslmode=mode)


def test_a_token_may_travel_under_tls_that_is_not_verified_where_that_is_asked_for(roots: Path) -> None:
    assert iam(5432, roots, sslmode="require").tls.mode == "require"
