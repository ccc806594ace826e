"""Defaults of the flags of `pgjobs`: the file, above it the environment; what is unknown is an error."""

from __future__ import annotations

import pytest

from pgjobs.cli.config import KEYS, read_defaults
from pgjobs.cli.options import build_parser, parse
from pgjobs.errors import DeployError

FILE = """
[tool.pgjobs.deploy]
application-id = "00file"
role = "arn:aws:iam::123456789012:role/file"
code = "s3://bucket/code"
retries = 2
cloudwatch = true
tag = { team = "data" }
"""


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    environ = {"PGJOBS_DEPLOY_APPLICATION_ID": "00env", "PGJOBS_DEPLOY_ROLE": "arn:aws:iam::123456789012:role/env"}
    options = parse(["submit", "load_table", "--application-id", "00flag"], read_defaults(FILE, environ))
    assert (options.application_id, options.role, options.code) == (
        "00flag",
        "arn:aws:iam::123456789012:role/env",
        "s3://bucket/code",
    )


def test_values_have_the_types_of_their_flags() -> None:
    defaults = read_defaults(FILE, {"PGJOBS_DEPLOY_RETRIES": "3", "PGJOBS_DEPLOY_CLOUDWATCH": "false"})
    options = parse(["submit", "load_table"], defaults)
    assert (options.retries, options.cloudwatch) == (3, False)
    assert parse(["submit", "load_table"], read_defaults(FILE, {})).cloudwatch is True


def test_repeated_flags_add_to_the_files() -> None:
    options = parse(["submit", "load_table", "--tag", "stage=test"], read_defaults(FILE, {}))
    assert options.tag == ["team=data", "stage=test"]


def test_a_variable_of_a_repeated_flag_is_words_as_in_a_shell() -> None:
    defaults = read_defaults("", {"PGJOBS_DEPLOY_CONF": "spark.x=1 'spark.y=a b'"})
    assert defaults == {"conf": ["spark.x=1", "spark.y=a b"]}


def test_lists_and_tables_of_the_file_are_repeated_flags() -> None:
    file = """
[tool.pgjobs.deploy]
application-configuration = "emr.json"
py-files = ["helpers.py"]
execution-iam-policy = ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
log-type = { SPARK_EXECUTOR = "STDERR,STDOUT" }
log-group = "/jobs"
"""
    options = parse(["run-local", "load_table", "--py-files", "more.py"], read_defaults(file, {}))
    assert options.application_configuration == "emr.json"
    assert options.py_files == ["helpers.py", "more.py"]
    assert options.execution_iam_policy == ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
    assert (options.log_type, options.cloudwatch) == (["SPARK_EXECUTOR=STDERR,STDOUT"], False)
    assert read_defaults("", {"PGJOBS_DEPLOY_JARS": "a.jar 'b c.jar'"}) == {"jars": ["a.jar", "b c.jar"]}


def test_no_file_and_no_variables_are_no_defaults() -> None:
    assert read_defaults("", {"PATH": "/bin", "PGJOBS_DEPLOY_ROLE": ""}) == {}
    assert read_defaults("[project]\nname = 'x'", {}) == {}


@pytest.mark.parametrize(
    ("file", "environ", "reason"),
    [
        ("[tool.pgjobs.deploy]\nrol = 'x'", {}, r"unknown rol\. Known: application-id, role"),
        ("", {"PGJOBS_DEPLOY_ROL": "x"}, r"unknown PGJOBS_DEPLOY_ROL\. Known: PGJOBS_DEPLOY_APPLICATION_ID"),
        ("[tool.pgjobs.deploy]\nretries = '2'", {}, "retries under .* must be a whole number"),
        ("[tool.pgjobs.deploy]\nretries = true", {}, "retries under .* must be a whole number"),
        ("", {"PGJOBS_DEPLOY_RETRIES": "two"}, "PGJOBS_DEPLOY_RETRIES must be a whole number"),
        ("", {"PGJOBS_DEPLOY_CLOUDWATCH": "on"}, "PGJOBS_DEPLOY_CLOUDWATCH must be true or false"),
        ("[tool.pgjobs.deploy]\njars = [1]", {}, "jars under .* must be a list of texts"),
        ("[tool.pgjobs.deploy]\njars = 'a.jar'", {}, "jars under .* must be a list of texts"),
        ("[tool.pgjobs", {}, "pyproject.toml cannot be read"),
        ("[tool.pgjobs]\ndeploy = 1", {}, "must be a table"),
    ],
)
def test_what_cannot_be_meant_is_refused(file: str, environ: dict[str, str], reason: str) -> None:
    with pytest.raises(DeployError, match=reason):
        read_defaults(file, environ)


def test_every_key_is_a_flag_of_submit() -> None:
    submit = next(action for action in build_parser({})._actions if action.dest == "command")  # noqa: SLF001 - no public list
    flags = {action.dest for action in submit.choices["submit"]._actions}  # type: ignore[index]  # noqa: SLF001 - likewise; argparse types it as anything
    assert {key.replace("-", "_") for key in KEYS} <= flags


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["submit", "load_table"], "missing: --application-id (PGJOBS_DEPLOY_APPLICATION_ID), --role"),
        (
            ["submit", "load_table", "--table", "t"],
            "unrecognized: --table t (the job's own arguments come last, after --)",
        ),
        (["status", "00run", "--application-id", "00app", "--", "x"], "status accepts no arguments of a job"),
        (
            ["logs", "00run", "--application-id", "00app", "--follow", "--attempt", "1"],
            "--follow shows all attempts of the driver",
        ),
        (["logs", "00run", "--application-id", "00app", "--attempt", "0"], "--attempt must be at least 1"),
        (["logs", "00run", "--application-id", "00app", "--executor", "-1"], "--executor must be at least 0"),
        (["cancel", "00run", "--application-id", "00app", "--wait-minutes", "-5"], "--wait-minutes must be at least 0"),
        (["run-local", "load_table", "--log-group", "/x"], "--log-group is for CloudWatch: add --cloudwatch"),
        (["cancel", "00run", "--application-id", "00app", "--grace", "5"], "--grace must be 0, or from 15 to 1800"),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words, {})
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_configured_choice_is_checked_like_a_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["run-local", "load_table"], {"mode": "stream"})
    assert "--mode must be one of batch, streaming" in capsys.readouterr().err


def test_run_local_takes_the_arguments_of_submit_and_requires_none() -> None:
    assert parse(["run-local", "load_table", "--", "--table", "t"], {}).arguments == ["--table", "t"]
    flags = ["--application-id", "00app", "--role", "r", "--code", "s3://b/p", "--logs", "s3://b/l", "--retries", "2"]
    assert parse(["run-local", "load_table", *flags], {}).retries == 2
