"""What is taken for a password in a submission, and what is not: names and values, as a table, with any password."""

from __future__ import annotations

from string import ascii_letters, digits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgjobs.submit.secrets import secret_places

# {} stands for a password.
SHOWN_IN_ARGUMENTS = [
    ("--database-url", "postgresql://me:{}@host/shop"),
    ("--database-url", "postgresql://me:{}/with/slashes@host/shop"),
    ("--url", "jdbc:postgresql://host/shop?user=me&password={}"),
    ("--url", "postgresql://host/shop?sslmode=require&password={}"),
    ("--cache", "redis://:{}@host"),
    ("--dsn", "host=h dbname=d password={}"),
    ("--dsn", "host = h password = '{}'"),
    ("--password", "{}"),
    ("--password={}",),
    ("-password", "{}"),
    ("--db-password", "{}"),
    ("--dbPassword", "{}"),
    ("--pgpassword", "{}"),
    ("--pwd", "{}"),
    ("--passwd={}",),
    ("--pass", "{}"),
    ("--token", "{}"),
    ("--client-secret", "{}"),
    ("--api-key", "{}"),
    ("--option", "password={}"),
    ("--config", '{{"user": "me", "password": "{}"}}'),
    ("--set", "AWS_SECRET_ACCESS_KEY={}"),
    ("--set", "PGPASSWORD={}"),
    ("--header", "Authorization: Bearer {}"),
    ("--presigned", "https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature={}"),
    ("--presigned", "https://b.s3.amazonaws.com/k?X-Amz-Security-Token={}&x=1"),
    ("--key-text", "-----BEGIN RSA PRIVATE KEY-----\n{}"),
]
SHOWN_IN_CONFIGURATION = [
    ("spark.executorEnv.PGPASS", "{}"),
    ("spark.executorEnv.PGPASSWORD", "{}"),
    ("spark.emr-serverless.driverEnv.DB_PWD", "{}"),
    ("spark.driver.extraJavaOptions", "-Xmx1g -Dpassword={}"),
    ("spark.executor.extraJavaOptions", "-Djavax.net.ssl.trustStorePassword={} -Dx=y"),
    ("spark.hadoop.fs.s3a.secret.key", "{}"),
    ("spark.hadoop.fs.s3a.session.token", "{}"),
    ("spark.ssl.keyPassword", "{}"),
    ("spark.authenticate.secret", "{}"),
    ("spark.hadoop.javax.jdo.option.ConnectionURL", "jdbc:mysql://h/d?user=u&password={}"),
]
# {} stands for any word.
INNOCENT_ARGUMENTS = [
    ("--secret-id", "shop/{}-password"),
    ("--secret-id=rds!cluster-{}",),
    ("--secret-id", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/{}"),
    ("--secret", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/{}"),
    ("--password-secret-id", "shop/{}"),
    ("--ssm-parameter", "/shop/{}/password"),
    ("--iam-auth", "--aws-region", "{}"),
    ("--no-password", "--table", "{}"),
    ("--use-token", "true", "--table", "{}"),
    ("--token-file", "/run/{}"),
    ("--passfile=/home/{}",),
    ("--max-tokens", "{}"),
    ("--database-url", "postgresql://me@host:5432/{}?sslmode=verify-full"),
    ("--source", "s3://bucket/a:{}@c/"),
    ("--source", "https://host:8080/{}@x"),
    ("--columns", "id,password,token,{}"),
    ("--select", "SELECT id, password, token FROM source WHERE token = '{}'"),
    ("--option", "header=true", "--table", "{}"),
    ("--split-by", "key", "--table", "{}"),
    ("--bypass", "{}"),
]
INNOCENT_CONFIGURATION = [
    ("spark.hadoop.fs.s3a.aws.credentials.provider", "org.apache.{}"),
    ("spark.redaction.regex", "(?i)secret|password|token|{}"),
    ("spark.executorEnv.PGPASSWORD", "EMR.secret@{}"),
    ("spark.executorEnv.GOOGLE_APPLICATION_CREDENTIALS", "/etc/{}.json"),
    ("spark.executorEnv.AWS_WEB_IDENTITY_TOKEN_FILE", "/var/{}"),
    ("spark.sql.session.timeZone", "{}"),
]
INNOCENT_TAGS = [("token-owner", "{}"), ("password-policy", "{}"), ("cost-center", "{}")]

some = settings(max_examples=15)
"""Of each row of a table."""

passwords = st.text(ascii_letters + digits + "-_.~+/%!*", min_size=10, max_size=40).filter(
    lambda text: text[0] in ascii_letters  # else a path, or a flag
)
words = st.text(ascii_letters + digits + "-_", min_size=2, max_size=20).filter(lambda text: text[0] in ascii_letters)


@pytest.mark.parametrize("arguments", SHOWN_IN_ARGUMENTS)
@some
@given(password=passwords)
def test_a_password_in_the_arguments_is_found_and_never_told(arguments: tuple[str, ...], password: str) -> None:
    found = list(secret_places([text.format(password) for text in arguments], {}))
    assert found
    assert not [place for place in found if password in place]


@pytest.mark.parametrize(("name", "value"), SHOWN_IN_CONFIGURATION)
@some
@given(password=passwords)
def test_a_password_in_the_configuration_is_found_and_never_told(name: str, value: str, password: str) -> None:
    found = list(secret_places((), {f"--conf {name}": value.format(password)}))
    assert found
    assert not [place for place in found if password in place]


@pytest.mark.parametrize("arguments", INNOCENT_ARGUMENTS)
@some
@given(word=words)
def test_arguments_that_only_speak_of_passwords_pass(arguments: tuple[str, ...], word: str) -> None:
    assert list(secret_places([text.format(word) for text in arguments], {})) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((f"--conf {name}", value) for name, value in INNOCENT_CONFIGURATION),
        *((f"--tag {name}", value) for name, value in INNOCENT_TAGS),
    ],
)
@some
@given(word=words)
def test_configuration_and_tags_that_only_speak_of_passwords_pass(place: str, value: str, word: str) -> None:
    assert list(secret_places((), {place: value.format(word)})) == []


@given(arguments=st.lists(words, max_size=6))
def test_plain_words_are_no_passwords(arguments: list[str]) -> None:
    assert list(secret_places(arguments, {})) == []


def test_a_place_is_told_so_that_a_person_finds_it() -> None:
    assert list(secret_places(("--table", "t", "--pwd", "x" * 9, "--dsn", "host=h password=abc"), {})) == [
        "argument 4, the value of --pwd,",
        "argument 6 (password)",
    ]
