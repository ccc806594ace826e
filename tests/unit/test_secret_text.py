"""What a stored text states, in every shape that people store; and asking for it anew."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator

import pytest

from jobs.dbaccess.conninfo.secret_text import StoredPassword, read_stored
from jobs.dbaccess.conninfo.settings import Login
from jobs.dbaccess.errors import UsageError

WHOLE = {"host": "h", "port": "6543", "dbname": "d", "user": "u", "password": "s3cret"}


@pytest.mark.parametrize(
    ("fields", "stated"),
    [
        pytest.param({"username": "u", "password": "s3cret"}, {"user": "u", "password": "s3cret"}, id="managed by RDS"),
        pytest.param(
            {
                "engine": "postgres",
                "host": "h",
                "username": "u",
                "password": "s3cret",
                "dbname": "d",
                "port": 6543,
                "masterarn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master",
                "dbInstanceIdentifier": "shop",
            },
            WHOLE,
            id="the rotation template's",
        ),
        ({"user": "u", "pass_word": "s3cret", "db_name": "d", "port": "6543", "hostname": "h"}, WHOLE),
        ({"dbUser": "u", "Password": "s3cret", "dbName": "d", "Port": "6543", "HOST": "h"}, WHOLE),
        ({"PGUSER": "u", "PGPASSWORD": "s3cret", "PGDATABASE": "d", "PGPORT": 6543, "PGHOST": "h"}, WHOLE),
        ({"endpoint": "h:6543", "database": "d", "username": "u", "password": "s3cret"}, WHOLE),
        ({"endpoint": "h:1", "port": 6543, "database": "d", "username": "u", "password": "s3cret"}, WHOLE),
        ({"password": "s3cret", "host": "2001:db8::1"}, {"password": "s3cret", "host": "2001:db8::1"}),
        ({"url": "postgresql://u:s3cret@h:6543/d"}, WHOLE),
        ({"uri": "postgres://other@h/d", "username": "u", "password": "s3cret", "port": 6543}, WHOLE),
        ({"url": "https://console.example.com", "password": "s3cret"}, {"password": "s3cret"}),
        ({"password": 12345, "host": None, "port": "", "note": ["x"]}, {"password": "12345"}),
        (
            {"conn_type": "postgres", "host": "h", "port": 6543, "schema": "d", "login": "u", "password": "s3cret"},
            WHOLE,
        ),
    ],
)
def test_json_states_a_connection_in_many_spellings(fields: dict[str, object], stated: dict[str, str]) -> None:
    assert read_stored(json.dumps(fields), "secret x") == stated


@pytest.mark.parametrize(
    "password", ["s3cret", "12345", '"quoted"', "null", "[1]", "{brace", "a b ", "a:b@c/d", "pässwörd", "user:pw@host"]
)
def test_a_text_that_is_no_object_is_the_password_itself(password: str) -> None:
    assert read_stored(password, "secret x") == {"password": password}


def test_the_newline_of_a_file_that_was_stored_whole_is_not_part_of_the_password() -> None:
    assert read_stored("s3cret\r\n", "secret x") == {"password": "s3cret"}


def test_a_url_states_a_whole_connection() -> None:
    assert read_stored("postgresql://u:s3cret@h:6543/d?sslmode=require", "x") == {**WHOLE, "sslmode": "require"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '{"username": "u", "host": "s3cret"}',
            'The secret x holds no password. It has the keys host, username: store the password under "password".',
        ),
        ("{}", "It has the keys (none)"),
        ('{"password": ""}', "The secret x holds no password. It has the keys password"),
        ('{"password": null}', "The secret x holds no password."),
        ("", "The secret x holds no password. It is empty"),
        ("\n", "It is empty"),
        ("postgresql://s3cret@h/d", "The secret x holds no password. It is a URL without one"),
        ("postgresql://u:s3%cret@h/d", "The secret x has a % that is not followed"),
        ("jdbc:postgresql://h/d?password=s3cret", "The secret x is a URL, and not of PostgreSQL."),
        ("mysql://u:s3cret@h/d", "The secret x is a URL, and not of PostgreSQL."),
        ('{"password": "s3cret",}', "The secret x is in braces and is not JSON."),
        ('{"password": ["s3cret"]}', "The secret x has a 'password' that is neither text nor a whole number."),
        ('{"port": true, "password": "s3cret"}', "The secret x has a 'port' that is neither"),
        ('{"engine": "mysql", "password": "s3cret"}', 'The secret x is for another engine, by its "engine".'),
        ('{"conn_type": "mysql", "password": "s3cret"}', "The secret x is not a connection to PostgreSQL."),
    ],
)
def test_what_holds_no_password_is_refused_and_no_value_shown(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_stored(text, "secret x")
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


LOGIN = Login("h", 5432, "app", "d")


def test_the_password_is_read_anew_each_time() -> None:
    texts = ["old", "new"]
    password = StoredPassword("secret x", lambda: [texts.pop(0)])
    assert [password(LOGIN), password(LOGIN)] == ["old", "new"]


def test_of_two_users_rotated_in_turns_the_login_gets_its_own_users_password() -> None:
    current, previous = ('{"username": "app_clone", "password": "b"}', '{"username": "app", "password": "a"}')
    assert StoredPassword("secret x", lambda: [current, previous])(LOGIN) == "a"


def test_the_version_before_is_not_asked_for_without_need() -> None:
    def texts() -> Iterator[str]:
        yield '{"username": "app", "password": "a"}'
        raise AssertionError("it was asked for")

    assert StoredPassword("secret x", texts)(LOGIN) == "a"


def test_the_password_of_another_user_is_not_tried() -> None:
    other = '{"username": "admin", "password": "s3cret"}'
    with pytest.raises(UsageError, match="The secret x is for the user 'admin', and not for 'app'") as caught:
        StoredPassword("secret x", lambda: [other])(LOGIN)
    assert "s3cret" not in str(caught.value)


def texts_of_the_module() -> list[str]:
    return ["s3cret"]


def test_it_travels_and_shows_nothing() -> None:
    password = StoredPassword("secret x", texts_of_the_module)
    again = pickle.loads(pickle.dumps(password))  # noqa: S301 - our own bytes
    assert again(LOGIN) == "s3cret"
    assert "s3cret" not in repr(again)
    assert b"s3cret" not in pickle.dumps(password)
