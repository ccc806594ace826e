"""Every way of logging in, against a server with users for each, and TLS of its own where its build has it."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import pytest
import trustme
from peers import peer, tls_between
from server_build import build_has_tls
from server_folder import server_folder, serving

from jobs.dbaccess.conninfo.settings import Login, Pem, Server, Settings, StaticPassword, Timeouts, Tls
from jobs.dbaccess.errors import AuthenticationFailed, DatabaseError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from servermgr.postgres import Manager

PLAIN = Tls("disable")
AUTHORITY = trustme.CA()
ROOTS = Pem("ca.pem", AUTHORITY.cert_pem.bytes().decode())
SECRET = "s3cret: é漢 \\ 'quoted'"

HBA = """
host    all postgres 127.0.0.1/32 trust
host    all scram    127.0.0.1/32 scram-sha-256
host    all md5      127.0.0.1/32 md5
host    all plain    127.0.0.1/32 password
host    all nobody   127.0.0.1/32 reject
host    all ghost    127.0.0.1/32 trust
hostnossl all bare   127.0.0.1/32 trust
"""
HBA_TLS = """
hostssl all cert     127.0.0.1/32 cert
hostssl all secured  127.0.0.1/32 trust
"""


@dataclass(frozen=True)
class Logins:
    """The server of these tests."""

    server: Server
    has_tls: bool

    def settings(self, user: str, password: str | None = None, tls: Tls = PLAIN) -> Settings:
        source = StaticPassword(password) if password is not None else None
        return Settings("postgres", user, (self.server,), source, tls, timeouts=Timeouts(deadline=0))


@pytest.fixture(scope="module")
def logins() -> Iterator[Logins]:
    with server_folder() as directory:
        data = directory / "data"
        manager = Manager("127.0.0.1", 0, data, initialize=True, settings={"fsync": "off"})
        has_tls = build_has_tls(data)
        (data / "pg_hba.conf").write_text(HBA + (HBA_TLS if has_tls else ""))
        if has_tls:
            manager.settings.update(tls_settings(data))
        with serving(manager):
            logins = Logins(Server("localhost", manager.port, "127.0.0.1"), has_tls)
            make_users(logins.settings("postgres"))
            yield logins


def tls_settings(data: Path) -> dict[str, str]:
    """A certificate for localhost, in the data directory, with its owner."""
    certificate = AUTHORITY.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(data / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(data / "server.crt"))
    AUTHORITY.cert_pem.write_to_path(str(data / "root.crt"))
    owner = data.stat()
    for name in ("server.key", "server.crt", "root.crt"):
        shutil.os.chown(data / name, owner.st_uid, owner.st_gid)  # type: ignore[attr-defined] # it is the os module
        (data / name).chmod(0o600)
    return {"ssl": "on", "ssl_ca_file": "root.crt"}


def make_users(settings: Settings) -> None:
    with connect(settings, "make users") as admin:
        literal = "'" + SECRET.replace("'", "''") + "'"
        for user in ("scram", "plain", "nobody", "bare", "cert", "secured"):
            admin.run(f"CREATE ROLE {user} LOGIN PASSWORD {literal}")
        admin.run("SET password_encryption = 'md5'")
        admin.run(f"CREATE ROLE md5 LOGIN PASSWORD {literal}")


@pytest.fixture
def tls_logins(logins: Logins) -> Logins:
    if not logins.has_tls:
        pytest.skip("this build of PostgreSQL has no TLS")
    return logins


def user_of(settings: Settings) -> str:
    with connect(settings, "login") as session:
        return str(session.run("SELECT current_user")[0][0])


@pytest.mark.parametrize("user", ["scram", "md5", "plain"])
def test_a_password_lets_in(logins: Logins, user: str) -> None:
    assert user_of(logins.settings(user, SECRET)) == user


def test_trust_wants_no_password(logins: Logins) -> None:
    assert user_of(logins.settings("postgres")) == "postgres"


@pytest.mark.parametrize("user", ["scram", "md5", "plain"])
def test_a_wrong_password_is_told_at_once_and_not_shown(logins: Logins, user: str) -> None:
    settings = replace(logins.settings(user, "planted"), timeouts=Timeouts(deadline=60))
    with pytest.raises(
        AuthenticationFailed, match=f'failed for user "{user}".*Check the user and the password'
    ) as caught:
        connect(settings, "login")
    assert "planted" not in repr(caught.value)


@pytest.mark.parametrize("user", ["scram", "md5", "plain"])
def test_a_missing_password_says_how_to_give_one(logins: Logins, user: str) -> None:
    with pytest.raises(AuthenticationFailed, match="No password was given: set PGPASSWORD"):
        connect(logins.settings(user), "login")


def test_a_role_that_does_not_exist_is_no_question_of_a_password(logins: Logins) -> None:
    with pytest.raises(AuthenticationFailed, match="does not exist") as caught:
        connect(replace(logins.settings("ghost"), login_hint="The secret is out of date."), "login")
    assert caught.value.hint == "Check that the role exists, and that the server's pg_hba.conf admits it from here."


def test_a_user_whom_pg_hba_rejects_is_told_so(logins: Logins) -> None:
    with pytest.raises(AuthenticationFailed, match="pg_hba"):
        connect(logins.settings("nobody", SECRET), "login")


def test_a_password_is_asked_for_each_connection_where_it_is_opened(logins: Logins) -> None:
    asked: list[Login] = []

    def password(login: Login) -> str:
        asked.append(login)
        return SECRET

    settings = replace(logins.settings("scram"), password=password)
    for _ in range(2):
        connect(settings, "login").close()
    assert asked == [Login("localhost", logins.server.port, "scram", "postgres")] * 2


def test_a_password_that_was_rotated_meanwhile_is_tried_once_more(logins: Logins) -> None:
    answers = ["old", SECRET]
    settings = replace(logins.settings("scram"), password=lambda _: answers.pop(0))
    assert user_of(settings) == "scram"
    assert answers == []


@pytest.mark.skipif(
    version("pg8000") < "1.31.6", reason="pg8000 1.31.5, the newest for Python 3.9 and 3.10, binds only TLS of its own"
)
def test_scram_binds_to_the_tls_channel_so_that_nobody_in_the_middle_can_pass_it_on(tls_logins: Logins) -> None:
    assert user_of(tls_logins.settings("scram", SECRET, Tls("verify-full", ROOTS))) == "scram"
    own_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(own_certificate)
    with peer(tls_between(("127.0.0.1", tls_logins.server.port), own_certificate)) as port:
        settings = tls_logins.settings("scram", SECRET, Tls("verify-full", ROOTS))
        between = replace(settings, servers=(Server("localhost", port, "127.0.0.1"),))
        with pytest.raises(DatabaseError, match="channel binding"):
            connect(between, "login")
        assert user_of(replace(between, user="secured")) == "secured"


def test_md5_and_password_work_under_tls(tls_logins: Logins) -> None:
    assert user_of(tls_logins.settings("md5", SECRET, Tls("verify-full", ROOTS))) == "md5"
    assert user_of(tls_logins.settings("plain", SECRET, Tls("require"))) == "plain"


def client_tls(name: str) -> Tls:
    certificate = AUTHORITY.issue_cert(common_name=name, organization_name="x")
    return Tls(
        "verify-full",
        ROOTS,
        Pem("client.crt", certificate.cert_chain_pems[0].bytes().decode()),
        Pem("client.key", certificate.private_key_pem.bytes().decode()),
    )


def test_a_client_certificate_lets_in_and_touches_no_disk(tls_logins: Logins) -> None:
    assert user_of(tls_logins.settings("cert", tls=client_tls("cert"))) == "cert"


def test_a_client_certificate_of_another_name_does_not(tls_logins: Logins) -> None:
    with pytest.raises(AuthenticationFailed, match="certificate authentication failed"):
        connect(tls_logins.settings("cert", tls=client_tls("other")), "login")


def test_an_encrypted_key_wants_its_password(tls_logins: Logins) -> None:
    from cryptography.hazmat.primitives import serialization as pem

    tls = client_tls("cert")
    assert tls.key is not None
    key = pem.load_pem_private_key(tls.key.text.encode(), None)
    locked = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"s3cret"))
    tls = replace(tls, key=Pem("client.key", locked.decode()), key_password=StaticPassword("s3cret"))
    assert user_of(tls_logins.settings("cert", tls=tls)) == "cert"
    with pytest.raises(UsageError, match="sslpassword"):
        connect(tls_logins.settings("cert", tls=replace(tls, key_password=StaticPassword("wrong"))), "login")


@pytest.mark.parametrize(
    ("user", "mode", "encrypted"),
    [
        ("secured", "allow", True),  # plain text is refused by pg_hba.conf, so TLS is tried
        ("secured", "prefer", True),
        ("secured", "require", True),
        ("bare", "allow", False),
        ("bare", "prefer", False),  # TLS is refused by pg_hba.conf, so plain text is tried
        ("postgres", "allow", False),
        ("postgres", "prefer", True),
    ],
)
def test_allow_and_prefer_try_the_other_transport_when_refused(
    tls_logins: Logins, user: str, mode: str, encrypted: bool
) -> None:
    with connect(tls_logins.settings(user, tls=Tls(mode)), "login") as session:
        session_is_encrypted = session.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert session_is_encrypted == [[encrypted]]


@pytest.mark.parametrize(("user", "mode"), [("bare", "require"), ("bare", "verify-full"), ("secured", "disable")])
def test_a_mode_that_does_not_fall_back_is_refused(tls_logins: Logins, user: str, mode: str) -> None:
    with pytest.raises(AuthenticationFailed, match="pg_hba"):
        connect(tls_logins.settings(user, tls=Tls(mode, ROOTS if mode == "verify-full" else None)), "login")
