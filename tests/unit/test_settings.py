"""Connection settings from options, URL and environment."""

from __future__ import annotations

import pickle

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.settings import StaticPassword, read_url, settings_from


@pytest.mark.parametrize(
    ("url", "stated"),
    [
        ("postgresql://u@h/d", {"user": "u", "host": "h", "dbname": "d"}),
        ("postgres://u:p@h:6543/d", {"user": "u", "password": "p", "host": "h", "port": "6543", "dbname": "d"}),
        (
            "postgresql://u%40x:p%3A%2F%3F%23%25@h/d%20e",
            {"user": "u@x", "password": "p:/?#%", "host": "h", "dbname": "d e"},
        ),
        ("postgresql://u@[::1]:5433/d", {"user": "u", "host": "::1", "port": "5433", "dbname": "d"}),
        ("postgresql:///d?host=/tmp&user=u", {"host": "/tmp", "user": "u", "dbname": "d"}),
        ("postgresql://u@%2Ftmp/d", {"user": "u", "host": "/tmp", "dbname": "d"}),
    ],
)
def test_a_url_is_read_and_unescaped(url: str, stated: dict[str, str]) -> None:
    assert read_url(url) == stated


@pytest.mark.parametrize(
    "url", ["mysql://u:s3cret@h/d", "postgresql://u:s3/cret@h/d", "u:s3cret@h", "postgresql://u:s3#cret@h/d"]
)
def test_a_wrong_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_url(url)
    assert "s3" not in str(caught.value)


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(UsageError, match="bogus"):
        read_url("postgresql://u@h/d?bogus=1")


def test_options_win_over_the_url_and_the_url_over_the_environment() -> None:
    environ = {"PGHOST": "env", "PGPORT": "1", "PGUSER": "env", "PGDATABASE": "env", "PGPASSWORD": "env"}
    settings = settings_from({"url": "postgresql://url@url/url", "host": "option", "user": None}, environ)
    assert (settings.host, settings.port, settings.user, settings.dbname) == ("option", 1, "url", "url")


def test_what_is_missing_is_named_with_the_ways_to_give_it() -> None:
    with pytest.raises(UsageError, match=r"no dbname and no user.*--database-url.*PGDATABASE"):
        settings_from({"url": None}, {})


@pytest.mark.parametrize("port", ["0", "65536", "x", "5432x", "-1", "٣"])
def test_a_wrong_port_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="not a port number"):
        settings_from({"port": port, "dbname": "d", "user": "u"}, {})


def test_a_password_is_called_for_and_never_shown() -> None:
    settings = settings_from({"dbname": "d", "user": "u"}, {"PGPASSWORD": "s3cret"})
    assert settings.password == StaticPassword("s3cret")
    assert settings.password() == "s3cret"
    assert "s3cret" not in f"{settings!r} {settings} {settings.address}"


def test_settings_travel_between_processes() -> None:
    settings = settings_from({"dbname": "d", "user": "u"}, {"PGPASSWORD": "s3cret"})
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes
