"""What a client of Spark Connect sends: a connection without its password, and what comes back of an error."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.aws.credentials import Parameter, RdsToken, Secret
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.secret_text import StoredPassword
from jobs.dbaccess.conninfo.settings import PasswordSource, Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.errors import ConstraintViolated, JobError, UsageError
from jobs.flows.spark_connect import check_version, connection_options, translate
from jobs.pgcopy.options import Options


def settings(url: str) -> Settings:
    return resolve(Given(url=url), {}).settings


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@db.example.com/shop",
        "postgresql://m%40e@a:1,[::1]:2/s%2Fhop?sslmode=verify-full&target_session_attrs=read-write",
        "postgresql://me@%2Ftmp/shop?sslmode=disable",
        "postgresql://me@db/shop?hostaddr=10.0.0.1&sslrootcert=system",
        "postgresql://me@db/shop?options=-c%20search_path%3Da%5C%20b%5C%5C",
    ],
)
def test_the_server_gets_the_connection_that_the_client_has(url: str) -> None:
    there = Options.parse(connection_options(settings(url))).settings({})
    assert there == settings(url)


@pytest.mark.parametrize(
    ("password", "options"),
    [
        (StoredPassword("", Secret("shop/loader", "eu-west-1")), {"secretId": "shop/loader", "awsRegion": "eu-west-1"}),
        (StoredPassword("", Parameter("/shop", "")), {"ssmParameter": "/shop"}),
        (RdsToken("eu-west-1"), {"iamAuth": "true", "awsRegion": "eu-west-1"}),
    ],
)
def test_the_server_reads_the_password_where_the_client_does(password: PasswordSource, options: dict[str, str]) -> None:
    sent = connection_options(replace(settings("postgresql://me@db/shop"), password=password))
    del sent["databaseUrl"]
    assert sent == options


def test_a_password_is_not_sent() -> None:
    sent = connection_options(settings("postgresql://me:secret-word@db/shop"))
    assert "secret-word" not in str(sent)


def test_a_password_that_only_the_client_can_make_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be sent through Spark Connect"):
        connection_options(replace(settings("postgresql://me@db/shop"), password=lambda _: "made"))


def test_the_deadline_is_sent_if_it_is_not_the_default() -> None:
    here = settings("postgresql://me@db/shop")
    here = replace(here, timeouts=replace(here.timeouts, deadline=5.0))
    assert connection_options(here)["connectDeadline"] == "5.0"


TRACE = """(org.apache.spark.sql.AnalysisException) [PYTHON_DATA_SOURCE_ERROR] Failed
Traceback (most recent call last):
  File "jobs/pgcopy/writer.py", line 1, in commit
jobs.dbaccess.errors.{line}

JVM stacktrace:
"""


def test_an_error_of_ours_is_found_in_the_servers_trace() -> None:
    error = translate(TRACE.format(line="ConstraintViolated: A row is twice (SQLSTATE 23505). Remove it."))
    assert type(error) is ConstraintViolated
    assert (error.message, error.sqlstate) == ("A row is twice (SQLSTATE 23505). Remove it.", "23505")


def test_an_error_of_a_class_of_its_own_is_one_of_ours_all_the_same() -> None:
    assert type(translate("jobs.dbaccess.load.verify.VerificationFailed: No.\n")) is JobError


def test_an_error_of_others_is_left_alone() -> None:
    assert translate("ValueError: jobs.dbaccess.errors.LoadError: quoted") is None


def test_spark_3_is_refused() -> None:
    check_version("4.0.2")
    with pytest.raises(UsageError, match=r"Spark 3\.5\.6 cannot have"):
        check_version("3.5.6")
