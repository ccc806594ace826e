"""The StartJobRun request: what it says, what is refused, and that botocore's own model takes it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from deploy.errors import DeployError
from deploy.request import Submission, build_request, check_entry, spark_parameters
from deploy.run_local import read_parameters

SUBMISSION = Submission(
    entry="load_table",
    arguments=("--source", "s3://b/x y", "--table", "t", "--load-id", "x/1"),
    application_id="00fabc",
    role="arn:aws:iam::123456789012:role/jobs",
    archive="s3://code/releases/abc/pyspark_venv.tar.gz",
    script="s3://code/releases/abc/load_table.py",
    tags={"team": "data"},
    conf={"spark.executor.cores": "2", "spark.x": "with 'quotes' and $pace"},
    logs="s3://logs/",
    cloudwatch=True,
    retries=2,
)


def test_botocores_own_model_takes_the_request() -> None:
    model = botocore.session.get_session().get_service_model("emr-serverless").operation_model("StartJobRun")
    report = ParamValidator().validate(build_request(SUBMISSION), model.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_the_request_says_what_was_asked_for() -> None:
    request = build_request(SUBMISSION)
    assert request["jobDriver"]["sparkSubmit"]["entryPointArguments"] == list(SUBMISSION.arguments)
    assert request["retryPolicy"] == {"maxAttempts": 3}
    assert request["tags"] == {"team": "data"}
    assert request["configurationOverrides"]["monitoringConfiguration"] == {
        "s3MonitoringConfiguration": {"logUri": "s3://logs/"},
        "cloudWatchLoggingConfiguration": {"enabled": True},
    }


def test_driver_and_executors_get_the_archives_python_by_their_own_prefixes() -> None:
    conf = read_parameters(spark_parameters(SUBMISSION))
    assert conf["spark.archives"] == "s3://code/releases/abc/pyspark_venv.tar.gz#environment"
    python = "./environment/bin/python"
    assert conf["spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON"] == python
    assert conf["spark.emr-serverless.driverEnv.PYSPARK_PYTHON"] == python
    assert conf["spark.executorEnv.PYSPARK_PYTHON"] == python
    assert conf["spark.x"] == "with 'quotes' and $pace"


def test_the_same_submission_has_the_same_token_and_another_another() -> None:
    token = build_request(SUBMISSION)["clientToken"]
    assert token == build_request(SUBMISSION)["clientToken"]
    assert token != build_request(replace(SUBMISSION, name="other"))["clientToken"]
    assert len(token) <= 64


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": ("--database-url", "postgresql://u:s3cret@h/d")},
        {"arguments": ("--password", "s3cret")},
        {"arguments": ("--password=s3cret",)},
        {"conf": {"spark.executorEnv.PGPASSWORD": "s3cret"}},
        {"conf": {"spark.x": "postgres://u:s3cret@h"}},
        {"tags": {"secret": "s3cret"}},
    ],
)
def test_a_password_anywhere_is_refused_and_not_shown(change: dict[str, Any]) -> None:
    with pytest.raises(DeployError, match="seems to hold a password") as caught:
        build_request(replace(SUBMISSION, retries=0, **change))
    assert "s3cret" not in str(caught.value)


def test_a_reference_to_a_secret_of_emrs_own_is_no_password() -> None:
    build_request(replace(SUBMISSION, conf={"spark.executorEnv.PGPASSWORD": "EMR.secret@shop"}))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--secret-id", "prod/db-password"),
        ("--secret-id=rds!cluster-1f0c",),
        ("--secret-id", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/loader-AbCdEf"),
        ("--ssm-parameter", "/shop/db/password"),
        ("--iam-auth", "--aws-region", "eu-west-1"),
    ],
)
def test_the_name_of_a_secret_is_no_password(arguments: tuple[str, ...]) -> None:
    build_request(replace(SUBMISSION, arguments=(*arguments, "--load-id", "x")))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"arguments": ("--table", "t")}, "give the job --load-id"),
        ({"retries": 10}, "--retries must be from 0 to 9"),
        ({"name": "x" * 257}, "name has 257 characters, and may have 256"),
        ({"script": "s3://" + "x" * 4096}, "entryPoint has"),
        ({"conf": {"spark.x": "y" * 102_400}}, "sparkSubmitParameters has"),
        ({"arguments": ("--load-id", "x", *["y"] * 1023)}, "more than 1024 arguments"),
        ({"tags": {str(n): "" for n in range(201)}}, "more than 200 tags"),
        ({"timeout_minutes": 1_000_001}, "--timeout-minutes must be"),
    ],
)
def test_what_the_api_or_the_rows_would_suffer_from_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(DeployError, match=reason):
        build_request(replace(SUBMISSION, **change))


def test_an_entry_must_be_in_the_archive() -> None:
    site = "lib/python3.11/site-packages/jobs"
    names = [f"{site}/{name}.py" for name in ("__init__", "errors", "options", "load_table", "flows/load")]
    assert check_entry("load_table", names) == f"{site}/load_table.py"
    with pytest.raises(DeployError, match="no job 'extract': it has load_table"):
        check_entry("extract", names)


def test_the_request_is_plain_data() -> None:
    assert json.loads(json.dumps(build_request(SUBMISSION))) == build_request(SUBMISSION)
