"""Airflow's connections; what a real Airflow writes is tested in tests/interop."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.dbaccess.conninfo.airflow import read_connection, variable_of
from jobs.dbaccess.errors import UsageError

ALL = {"user": "u", "password": "p@:/", "host": "db.example.com", "port": "6543", "dbname": "shop"}


@pytest.mark.parametrize(
    ("value", "stated"),
    [
        ("postgres://u:p%40%3A%2F@db.example.com:6543/shop", ALL),
        ("postgresql://u:p%40%3A%2F@db.example.com:6543/shop?sslmode=require", {**ALL, "sslmode": "require"}),
        ("  postgres://u@h/d \n", {"user": "u", "host": "h", "dbname": "d"}),
        ("postgres://:p@h", {"password": "p", "host": "h"}),
        ("postgres://u@DB.Example.com/d", {"user": "u", "host": "db.example.com", "dbname": "d"}),
        ("postgres://u@%2Ftmp%2FSock/d", {"user": "u", "host": "/tmp/Sock", "dbname": "d"}),
        ("postgres://u:a+b@h/d", {"user": "u", "password": "a+b", "host": "h", "dbname": "d"}),
        ("postgres://h/?application_name=a+b", {"host": "h", "application_name": "a b"}),
        (
            "postgres://h/?__extra__=%7B%22keepalives%22%3A+true%2C+%22sslmode%22%3A+%22require%22%7D&sslmode=disable",
            {"host": "h", "keepalives": "1", "sslmode": "require"},
        ),
        (
            (
                '{"conn_type": "postgres", "login": "u", "password": "p@:/", "host": "db.example.com", "port": 6543, '
                '"schema": "shop", "description": "the shop"}'
            ),
            ALL,
        ),
        (
            '{"conn_type": "postgres", "host": "h", "port": "1", "extra": "{\\"sslmode\\": \\"require\\"}"}',
            {"host": "h", "port": "1", "sslmode": "require"},
        ),
        (
            '{"conn_type": "Postgres", "host": "h", "extra": {"connect_timeout": 5, "iam": false, "cursor": "x"}}',
            {"host": "h", "connect_timeout": "5"},
        ),
    ],
)
def test_a_connection_is_read_by_airflows_rules(value: str, stated: dict[str, str]) -> None:
    assert read_connection(value, "AIRFLOW_CONN_X") == stated


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("mysql://u:s3cret@h", "not a connection to PostgreSQL"),
        ("postgres://u:s3/cret@h", "not a connection's URI"),
        ('{"conn_type": "postgres", "password": "s3cret"', "not JSON"),
        ('{"conn_type": "postgres", "passwd": "s3cret"}', "passwd"),
        ('{"conn_type": "postgres", "extra": "s3cret"}', "extra that is not JSON"),
        ('{"conn_type": "postgres", "extra": ["s3cret"]}', "is not a JSON object"),
        ('{"conn_type": "postgres", "password": ["s3cret"]}', "'password' that is neither text"),
        ('{"password": "s3cret"}', "not a connection to PostgreSQL"),
        ('{"conn_type": "postgres", "extra": {"iam": true}}', "the login 'iam'"),
        ("postgres://h/?redshift=yes", "the login 'redshift'"),
    ],
)
def test_a_wrong_connection_is_refused_by_name_and_not_shown(value: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        read_connection(value, "AIRFLOW_CONN_X")
    assert "AIRFLOW_CONN_X" in str(caught.value)
    assert "s3" not in str(caught.value)


def test_an_extra_that_says_no_to_iam_in_a_uri_means_no() -> None:
    """In Airflow itself `?iam=false` is a string, and true."""
    assert read_connection("postgres://h/?iam=false", "x") == {"host": "h"}


def test_the_variable_is_in_upper_case() -> None:
    assert variable_of("pg_target") == "AIRFLOW_CONN_PG_TARGET"


@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: f"postgres://{text}"),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(["conn_type", "host", "extra", "x"]), inner)
            ),
        ).map(json.dumps),
        st.dictionaries(st.sampled_from(["login", "host", "port", "extra"]), st.text() | st.integers() | st.none()).map(
            lambda fields: json.dumps({"conn_type": "postgres", **fields})
        ),
    )
)
def test_any_text_is_read_or_refused_in_our_own_words(text: str) -> None:
    with contextlib.suppress(UsageError):
        read_connection(text, "x")
