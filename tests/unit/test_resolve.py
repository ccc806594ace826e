"""One precedence; each value remembers its origin; what is missing says what was tried."""

from __future__ import annotations

import contextlib
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.dbaccess.conninfo.resolve import Resolved, resolve
from jobs.dbaccess.conninfo.settings import Login, Pem, Server, Settings, StaticPassword
from jobs.dbaccess.conninfo.sources import Credentials, Given
from jobs.dbaccess.conninfo.uri import write_uri
from jobs.dbaccess.errors import UsageError

WHERE = {"dbname": "d", "user": "u"}


def settled(given: Given | None = None, **environ: str) -> Settings:
    return resolve(given or Given(WHERE), environ).settings


def origins(resolved: Resolved) -> dict[str, str]:
    return {name: value.origin for name, value in resolved.values.items()}


def test_a_flag_wins_over_a_whole_connection_and_that_over_libpqs_variables() -> None:
    environ = {"PGHOST": "env", "PGPORT": "1", "PGUSER": "env", "PGDATABASE": "env", "PGPASSWORD": "env"}
    resolved = resolve(Given({"host": "flag"}, url="postgresql://url@url/url"), environ)
    settings = resolved.settings
    assert (settings.servers, settings.user, settings.dbname) == ((Server("flag", 1),), "url", "url")
    assert origins(resolved) == {
        "host": "--host",
        "port": "PGPORT",
        "user": "--database-url",
        "dbname": "--database-url",
        "password": "PGPASSWORD",
        "sslmode": "default",
    }


def test_one_whole_connection_counts_and_the_others_are_not_even_read() -> None:
    environ = {
        "DATABASE_URL": "not even a URL",
        "PGSERVICE": "nosuch",
        "AIRFLOW_CONN_A": "postgres://airflow@h/a",
        "PGUSER": "env",
    }
    assert settled(Given(connection="a"), **environ).user == "airflow"
    assert settled(Given(url="postgresql://u@h/d"), **environ).user == "u"


def test_database_url_counts_before_pgservice(tmp_path: Path) -> None:
    services = tmp_path / "services"
    services.write_text("[s]\nuser=service\ndbname=d\n")
    environ = {"PGSERVICE": "s", "PGSERVICEFILE": str(services)}
    assert settled(Given(), **environ).user == "service"
    assert settled(Given(), DATABASE_URL="postgresql://url@h/d", **environ).user == "url"
    assert settled(Given(service="s"), DATABASE_URL="postgresql://url@h/d", **environ).user == "service"


def test_two_whole_connections_are_refused() -> None:
    with pytest.raises(UsageError, match="--database-url and --service were given"):
        resolve(Given(url="postgresql://u@h/d", service="s"), {})


def test_a_connection_that_is_not_set_is_named() -> None:
    with pytest.raises(UsageError, match="AIRFLOW_CONN_PG_TARGET is not set"):
        resolve(Given(connection="pg_target"), {})


def test_what_is_missing_says_what_was_tried() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Given(), {})
    assert str(caught.value) == (
        "There is no dbname and no user to connect with. Tried: --dbname, --user, --database-url, --connection, "
        "--service, DATABASE_URL, PGSERVICE, PGDATABASE, PGUSER. Give one of these."
    )
    with pytest.raises(
        UsageError, match=r"no dbname .*Tried: --dbname, DATABASE_URL \(does not state it\), PGDATABASE"
    ):
        resolve(Given(), {"DATABASE_URL": "postgresql://u@h"})


def test_the_table_shows_values_and_origins_and_masks_the_password() -> None:
    environ = {"PGPASSWORD": "s3cret", "PGPORT": "6543"}
    assert resolve(Given({"host": "h", **WHERE}), environ).table() == (
        "parameter  value   from\n"
        "dbname     d       --dbname\n"
        "host       h       --host\n"
        "password   ****    PGPASSWORD\n"
        "port       6543    PGPORT\n"
        "sslmode    prefer  default\n"
        "user       u       --user\n"
    )


@pytest.mark.parametrize(
    ("values", "servers"),
    [
        ({}, (Server("localhost", 5432),)),
        ({"host": "a,b"}, (Server("a", 5432), Server("b", 5432))),
        ({"host": "a,b", "port": "1"}, (Server("a", 1), Server("b", 1))),
        ({"host": "a,b", "port": "1,2"}, (Server("a", 1), Server("b", 2))),
        ({"host": "a,b", "port": ",2"}, (Server("a", 5432), Server("b", 2))),
        ({"host": "a", "hostaddr": "10.0.0.1"}, (Server("a", 5432, "10.0.0.1"),)),
        ({"hostaddr": "10.0.0.1"}, (Server("10.0.0.1", 5432, "10.0.0.1"),)),
        ({"host": "a:1"}, (Server("a", 1),)),
        ({"host": "a:1", "port": "1"}, (Server("a", 1),)),
        ({"host": "a:1,b:2"}, (Server("a", 1), Server("b", 2))),
        ({"host": "a:1,b"}, (Server("a", 1), Server("b", 5432))),
        ({"host": "a:"}, (Server("a", 5432),)),
        ({"host": "[::1]:1"}, (Server("::1", 1),)),
        ({"host": "[::1]"}, (Server("::1", 5432),)),
        ({"host": "::1"}, (Server("::1", 5432),)),
        ({"host": "2001:db8::1,b:2", "port": ",2"}, (Server("2001:db8::1", 5432), Server("b", 2))),
        ({"host": "/run/a:1", "port": "2"}, (Server("/run/a:1", 2),)),
    ],
)
def test_lists_of_hosts_and_ports_become_servers(values: dict[str, str], servers: tuple[Server, ...]) -> None:
    assert settled(Given({**WHERE, **values})).servers == servers


def test_a_port_beside_a_host_has_its_place_in_the_order() -> None:
    assert settled(Given({**WHERE, "host": "flag:1"}), PGPORT="2").servers == (Server("flag", 1),)
    assert settled(Given({**WHERE, "port": "1"}), PGHOST="env:2").servers == (Server("env", 1),)
    connection = '{"conn_type": "postgres", "host": "h:1", "schema": "d", "login": "u"}'
    assert settled(Given(connection="a"), AIRFLOW_CONN_A=connection).servers == (Server("h", 1),)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"host": "a,b", "port": "1,2,3"}, "2 hosts, but port has 3"),
        ({"host": "a,b", "hostaddr": "1.1.1.1"}, "2 hosts, but hostaddr has 1"),
        ({"host": "a:1", "port": "2"}, "--host names port 1, and --port names port 2. Give one."),
        ({"host": "a:1,b:2", "port": "3"}, "--host names port 1,2, and --port names port 3. Give one."),
        ({"host": "a:0"}, "port must be a whole number from 1 to 65535, not '0' (from --host)"),
        ({"port": "0"}, "port must be a whole number from 1 to 65535, not '0' (from --port)"),
        ({"port": "٣"}, "port must be a whole number"),
        ({"sslmode": "bogus"}, "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full"),
        ({"sslmode": "require", "sslrootcert": "system"}, "sslrootcert=system needs sslmode=verify-full"),
        ({"sslrootcert": "/nosuch"}, "/nosuch cannot be read: No such file"),
        ({"connect_timeout": "soon"}, "connect_timeout must be a whole number"),
        ({"target_session_attrs": "x"}, "target_session_attrs must be one of any, read-write"),
        ({"options": "-x"}, "options must be of the form -c name=value"),
        ({"bogus": "1"}, "parameters that are not supported: bogus"),
        ({"gssencmode": "require"}, "not supported: gssencmode"),
        ({"channel_binding": "require"}, "not supported: channel_binding"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_origin(values: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Given({**WHERE, **values}), {})
    assert told in str(caught.value)


def test_what_changes_nothing_is_accepted() -> None:
    url = "postgresql://u@h/d?client_encoding=UTF8&gssencmode=prefer&channel_binding=prefer&sslnegotiation=postgres"
    assert settled(Given(url=url)).dbname == "d"


def test_rds_is_verified_unless_something_else_is_stated() -> None:
    host = "shop.abc.eu-west-1.rds.amazonaws.com"
    assert settled(Given({**WHERE, "host": host})).tls.mode == "verify-full"
    assert settled(Given({**WHERE, "host": host, "sslmode": "require"})).tls.mode == "require"
    assert settled(Given({**WHERE, "host": f"{host}.example.com"})).tls.mode == "prefer"
    assert resolve(Given({**WHERE, "host": host}), {}).values["sslmode"].origin == "default for RDS"


def test_system_roots_mean_verify_full() -> None:
    assert settled(Given({**WHERE, "sslrootcert": "system"})).tls.mode == "verify-full"


def test_files_of_tls_travel_with_the_settings(tmp_path: Path) -> None:
    for name in ("root.crt", "postgresql.crt", "postgresql.key"):
        (tmp_path / ".postgresql").mkdir(exist_ok=True)
        (tmp_path / ".postgresql" / name).write_text(f"text of {name}")
        (tmp_path / ".postgresql" / name).chmod(0o600)
    tls = settled(HOME=str(tmp_path)).tls
    assert isinstance(tls.roots, Pem)
    assert [pem.text for pem in (tls.roots, tls.certificate, tls.key) if pem] == [
        "text of root.crt",
        "text of postgresql.crt",
        "text of postgresql.key",
    ]
    assert "text of" not in repr(tls)


def test_a_certificate_wants_its_key(tmp_path: Path) -> None:
    certificate = tmp_path / "c.crt"
    certificate.write_text("x")
    with pytest.raises(UsageError, match="without its key"):
        settled(Given({**WHERE, "sslcert": str(certificate)}))


def test_waiting_and_keeping_alive_are_libpqs_parameters() -> None:
    url = (
        "postgresql://u@h/d?connect_timeout=7&keepalives=0&keepalives_idle=1&keepalives_interval=2&keepalives_count=3"
        "&tcp_user_timeout=4500"
    )
    timeouts = settled(Given(url=url)).timeouts
    assert (timeouts.connect_timeout, timeouts.keepalive, timeouts.user_timeout) == (7.0, False, 4.5)
    assert (timeouts.idle, timeouts.interval, timeouts.count) == (1, 2, 3)


def test_server_settings_come_from_options_and_by_name() -> None:
    url = r"postgresql://u@h/d?options=-c%20work_mem%3D1MB%20--search-path%3Da%5C%20b&statement_timeout=5s"
    assert dict(settled(Given(url=url)).startup) == {
        "work_mem": "1MB",
        "search_path": "a b",
        "statement_timeout": "5s",
    }


def test_the_password_file_is_asked_last_and_for_each_server(tmp_path: Path) -> None:
    (tmp_path / ".pgpass").write_text("a:*:*:*:for a\nb:*:*:*:for b\n")
    (tmp_path / ".pgpass").chmod(0o600)
    resolved = resolve(Given({**WHERE, "host": "a,b,c"}), {"HOME": str(tmp_path)})
    password = resolved.settings.password
    assert password is not None
    assert [password(Login(host, 5432, "u", "d")) for host in "abc"] == ["for a", "for b", ""]
    assert resolved.values["password"].origin == "~/.pgpass"
    assert "for a" not in repr(resolved) + resolved.table()
    explicit = settled(Given({**WHERE, "host": "a"}), HOME=str(tmp_path), PGPASSWORD="explicit")
    assert explicit.password == StaticPassword("explicit")


def password_of_a_secret(login: Login) -> str:
    return f"for {login.user}"


SECRET = Credentials(
    "secret x", password_of_a_secret, {"host": "secret", "user": "secret", "dbname": "secret"}, "Look."
)


def test_a_secrets_password_counts_before_all_others_and_the_rest_of_it_after_libpqs_variables(tmp_path: Path) -> None:
    (tmp_path / ".pgpass").write_text("*:*:*:*:file\n")
    (tmp_path / ".pgpass").chmod(0o600)
    environ = {"PGPASSWORD": "env", "PGUSER": "env", "HOME": str(tmp_path)}
    resolved = resolve(Given({"dbname": "flag"}, url="postgresql://:url@/url", credentials=SECRET), environ)
    settings = resolved.settings
    assert settings.password is password_of_a_secret
    assert (settings.servers, settings.user, settings.dbname) == ((Server("secret"),), "env", "flag")
    assert settings.login_hint == "Look."
    assert origins(resolved) == {
        "host": "secret x",
        "port": "default",
        "user": "PGUSER",
        "dbname": "--dbname",
        "password": "secret x",
        "sslmode": "default",
    }


def test_what_a_secret_does_not_state_either_is_told() -> None:
    with pytest.raises(UsageError, match=r"no dbname .*, PGDATABASE, secret x \(does not state it\)\."):
        resolve(Given(credentials=replace(SECRET, stated={"user": "u"})), {})
    with pytest.raises(UsageError, match=r"PGUSER, secret x \(does not state it\)\."):
        resolve(Given(credentials=replace(SECRET, stated={})), {})
    with pytest.raises(UsageError, match=r"PGUSER\. Give one of these\.$"):
        resolve(Given(credentials=replace(SECRET, stated=None)), {})


def test_credentials_that_need_tls_are_verified_unless_something_else_is_stated() -> None:
    tokens = Credentials("--iam-auth", password_of_a_secret, needs_tls=True)
    resolved = resolve(Given(WHERE, credentials=tokens), {})
    assert resolved.settings.tls.mode == "verify-full"
    assert origins(resolved)["sslmode"] == "default for --iam-auth"
    with pytest.raises(UsageError, match=r"needs TLS, and sslmode=prefer \(from PGSSLMODE\) allows plain text"):
        resolve(Given(WHERE, credentials=tokens), {"PGSSLMODE": "prefer"})


def test_settings_show_no_secret_and_travel_between_processes(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("s3cret key")
    key.chmod(0o600)
    values = {**WHERE, "sslcert": str(key), "sslkey": str(key), "sslpassword": "s3cret"}
    settings = settled(Given(values), PGPASSWORD="s3cret")
    assert "s3cret" not in f"{settings!r} {settings} {settings.address}"
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
SERVERS = st.lists(
    st.builds(Server, st.sampled_from(["a", "b.example.com", "::1", "10.0.0.1", "/tmp"]), st.integers(1, 65535)),
    min_size=1,
    max_size=3,
)


@given(
    dbname=NAMES,
    user=NAMES,
    password=NAMES,
    servers=SERVERS,
    mode=st.sampled_from(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
    timeout=st.integers(2, 1000),
    name=NAMES,
)
def test_settings_become_a_url_and_are_the_same_again(
    dbname: str, user: str, password: str, servers: list[Server], mode: str, timeout: int, name: str
) -> None:
    url = write_uri(
        {
            "dbname": dbname,
            "user": user,
            "password": password,
            "host": ",".join(server.host for server in servers),
            "port": ",".join(str(server.port) for server in servers),
            "sslmode": mode,
            "connect_timeout": str(timeout),
            "application_name": name,
        }
    )
    settings = settled(Given(url=url))
    expected = Settings(
        dbname,
        user,
        tuple(servers),
        StaticPassword(password),
        replace(settings.tls, mode=mode),
        application_name=name,
        timeouts=replace(settings.timeouts, connect_timeout=float(timeout)),
    )
    assert settings == expected


@given(
    st.dictionaries(
        st.sampled_from(["host", "port", "hostaddr", "sslmode", "options", "dbname", "user", "x"]), st.text()
    )
)
def test_any_values_are_settled_or_refused_in_our_own_words(values: dict[str, str]) -> None:
    with contextlib.suppress(UsageError):
        resolve(Given(values), {})
