"""The StartJobRun request: what it says, what is refused, and that botocore's own model takes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from pgjobs.archive.project import OWN_ENTRYPOINTS
from pgjobs.errors import DeployError
from pgjobs.local.run_local import read_parameters
from pgjobs.submit.request import Submission, build_request


def spark_parameters(submission: Submission) -> str:
    """What spark-submit is told."""
    return str(build_request(submission)["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"])


SUBMISSION = Submission(
    entry="load_table",
    own="load_table",
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


def test_the_same_load_id_has_the_same_token_and_another_submission_another() -> None:
    token = build_request(SUBMISSION)["clientToken"]
    assert token == build_request(SUBMISSION)["clientToken"]
    assert token != build_request(replace(SUBMISSION, name="other"))["clientToken"]
    assert len(token) <= 64


@pytest.mark.parametrize(
    "change",
    [
        {
            "entry": "extract_table",
            "own": "extract_table",
            "arguments": ("--table", "t", "--target", "s3://b/t", "--watermark-id", "w"),
        },
        {"arguments": ("--source", "s3://b/x", "--table", "t")},
        {"arguments": ("--load-id=",)},
        {"entry": "report", "arguments": ("--day", "today")},
        {"again": True},
    ],
)
def test_what_is_meant_twice_has_no_token_of_its_own(change: dict[str, Any]) -> None:
    """Each night's extract has the arguments of the night before: with the same token, EMR would start nothing."""
    assert "clientToken" not in build_request(replace(SUBMISSION, retries=0, **change))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"arguments": ("--database-url", "postgresql://u:s3cret@h/d")}, "argument 2 .a URL. seems"),
        ({"arguments": ("--pwd", "s3cret")}, "argument 2, the value of --pwd, seems"),
        ({"conf": {"spark.executorEnv.PGPASSWORD": "s3cret"}}, "--conf spark.executorEnv.PGPASSWORD seems"),
        ({"conf": {"spark.driver.extraJavaOptions": "-Dpassword=s3cret"}}, "extraJavaOptions .password. seems"),
        ({"tags": {"secret": "s3cret"}}, "--tag secret seems"),
        ({"name": "password=s3cret"}, "--name .password. seems"),
        ({"prometheus": "https://u:s3cret@h/api/v1/remote_write"}, "--prometheus .a URL. seems"),
    ],
)
def test_a_password_anywhere_is_refused_and_not_shown(change: dict[str, Any], place: str) -> None:
    submission = replace(SUBMISSION, retries=0, **change)
    with pytest.raises(DeployError, match=f"{place} to contain a password.*--skip-secret-check") as caught:
        build_request(submission)
    assert "s3cret" not in str(caught.value)


def test_one_flag_submits_what_only_looks_like_a_password() -> None:
    arguments = ("--load-id", "x", "--token", "a-word-of-a-language-model")
    request = build_request(replace(SUBMISSION, arguments=arguments, unchecked_secrets=True))
    assert request["jobDriver"]["sparkSubmit"]["entryPointArguments"] == list(arguments)


def test_retries_are_attempts_after_the_first_one_in_both_modes() -> None:
    """A streaming run is tried five times an hour by default, so it is always told how often."""
    assert "retryPolicy" not in build_request(replace(SUBMISSION, retries=0))
    streaming = replace(SUBMISSION, mode="streaming")
    assert build_request(streaming)["retryPolicy"] == {"maxFailedAttemptsPerHour": 3}
    assert build_request(replace(streaming, retries=0))["retryPolicy"] == {"maxFailedAttemptsPerHour": 1}


def test_a_capture_is_restarted_for_it_goes_on_from_where_its_target_is() -> None:
    capture = replace(
        SUBMISSION,
        entry="capture_changes",
        own="capture_changes",
        arguments=("--table", "orders", "--target", "s3://lake/orders/"),
        mode="streaming",
        retries=4,
    )
    request = build_request(capture)
    assert (request["mode"], request["retryPolicy"]) == ("STREAMING", {"maxFailedAttemptsPerHour": 5})
    assert request["executionTimeoutMinutes"] == 0


def test_a_streaming_run_has_no_timeout_unless_it_is_given_one() -> None:
    assert build_request(SUBMISSION)["executionTimeoutMinutes"] == 720
    assert build_request(replace(SUBMISSION, mode="streaming"))["executionTimeoutMinutes"] == 0
    assert build_request(replace(SUBMISSION, mode="streaming", timeout_minutes=5))["executionTimeoutMinutes"] == 5


def test_logs_go_where_they_are_asked_to_under_one_key() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/abc"
    asked = replace(
        SUBMISSION,
        log_key=key,
        log_group="/jobs",
        prometheus="https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
    )
    assert build_request(asked)["configurationOverrides"]["monitoringConfiguration"] == {
        "s3MonitoringConfiguration": {"logUri": "s3://logs/", "encryptionKeyArn": key},
        "cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": "/jobs", "encryptionKeyArn": key},
        "managedPersistenceMonitoringConfiguration": {"enabled": True, "encryptionKeyArn": key},
        "prometheusMonitoringConfiguration": {
            "remoteWriteUrl": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write"
        },
    }
    none = build_request(replace(SUBMISSION, logs="", cloudwatch=False, managed_logs=False))
    assert none["configurationOverrides"]["monitoringConfiguration"] == {
        "managedPersistenceMonitoringConfiguration": {"enabled": False}
    }


@pytest.mark.parametrize("key", ["spark.archives", "spark.executorEnv.PYSPARK_PYTHON"])
def test_what_the_archive_needs_cannot_be_taken_from_it(key: str) -> None:
    with pytest.raises(DeployError, match=f"--conf {key} is set by the archive: omit it"):
        build_request(replace(SUBMISSION, conf={key: "x"}))


def test_parameters_are_quoted_only_where_a_shell_would_need_it() -> None:
    parameters = spark_parameters(replace(SUBMISSION, conf={"spark.x": "a b"}))
    assert parameters.startswith("--conf spark.archives=s3://code/releases/abc/pyspark_venv.tar.gz#environment --conf")
    assert parameters.endswith("--conf 'spark.x=a b'")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"arguments": ("--table", "t")}, "give the job --load-id"),
        ({"arguments": ("--table", "t", "--load-id", "")}, "give the job --load-id"),
        ({"arguments": ("--load-id=",)}, "give the job --load-id"),
        ({"arguments": ("--table", "t"), "mode": "streaming"}, "give the job --load-id"),
        ({"retries": 10}, "--retries must be from 0 to 9"),
        ({"name": "x" * 257}, "--name has 257 characters, and may have 1 to 256"),
        ({"script": "s3://" + "x" * 4096}, "entryPoint has"),
        ({"conf": {"spark.x": "y" * 102_400}}, "sparkSubmitParameters has"),
        ({"arguments": ("--load-id", "x", *["y"] * 1023)}, "entryPointArguments has 1025 items"),
        ({"tags": {str(n): "" for n in range(201)}}, "--tag has 201 items"),
        ({"timeout_minutes": 0}, "must be from 1 to 10080 .7 days. in batch mode: EMR .* ends every batch run"),
        ({"timeout_minutes": 10_081}, "--timeout-minutes must be from 1 to 10080 .7 days. in batch mode"),
        (
            {"entry": "report", "own": "", "arguments": ("--day", "1")},
            "again from its beginning. If .* declare it: --idempotent",
        ),
        (
            {"entry": "run_query", "own": "run_query", "arguments": ("--sql", "SELECT 1")},
            "again from its beginning. Give the job --load-id, .* Or if .* --idempotent",
        ),
        ({"prometheus": "https://example.com"}, "--prometheus must look like https://aps-workspaces.eu-west-1"),
        ({"timeout_minutes": 1_000_001, "mode": "streaming"}, "--timeout-minutes has the value 1000001"),
        ({"application_id": "00ABC"}, "--application-id must look like 00f1abc"),
        ({"role": "arn:aws:iam::1:role/jobs"}, "--role must look like arn:aws:iam::123456789012:role/jobs"),
        ({"tags": {"x" * 129: ""}}, "the key of --tag x+ has 129 characters"),
        ({"logs": "s3:/logs"}, "is not an S3 URI"),
    ],
)
def test_what_the_api_or_the_rows_would_suffer_from_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(DeployError, match=reason):
        build_request(replace(SUBMISSION, **change))


def test_each_module_of_jobs_is_an_entrypoint_and_marked_as_one() -> None:
    modules = [path for path in (Path(__file__).parents[2] / "src" / "jobs").glob("*.py") if path.stem != "__init__"]
    assert modules
    assert {module.stem: 'if __name__ == "__main__":' in module.read_text() for module in modules} == {
        module.stem: True for module in modules
    }
    assert {f"jobs.{module.stem}" for module in modules} <= set(OWN_ENTRYPOINTS.values())


def test_the_request_is_plain_data() -> None:
    assert json.loads(json.dumps(build_request(SUBMISSION))) == build_request(SUBMISSION)


def test_a_job_that_is_declared_to_be_idempotent_is_retried() -> None:
    report = replace(SUBMISSION, entry="report", own="", arguments=("--day", "1"), idempotent=True)
    assert build_request(report)["retryPolicy"] == {"maxAttempts": 3}


def test_the_apis_own_model_says_that_a_batch_run_always_has_a_timeout() -> None:
    """The refusal of --timeout-minutes 0 is to go when this sentence does."""
    model = botocore.session.get_session().get_service_model("emr-serverless")
    said = model.shape_for("StartJobRunRequest").members["executionTimeoutMinutes"].documentation
    if "0" not in said:
        pytest.skip("this botocore, the last for Python 3.9, says nothing of it")
    assert "Setting a value of 0 to disable the timeout is no longer supported for BATCH mode" in said


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (("--table", "t", "--target", "s3://b/t"), False),
        (("--table", "t", "--write-mode", "overwrite"), False),
        (("--table", "t", "--write-mode=append"), True),
        (("--table", "t", "--write-mode", "append", "--watermark-id", "w"), False),
    ],
)
def test_an_extract_is_retried_unless_it_would_append_twice(arguments: tuple[str, ...], refused: bool) -> None:
    extract = replace(SUBMISSION, entry="extract_table", own="extract_table", arguments=arguments, retries=1)
    if refused:
        with pytest.raises(DeployError, match="--watermark-id"):
            build_request(extract)
    else:
        assert build_request(extract)["retryPolicy"] == {"maxAttempts": 2}


def test_the_doctor_gets_the_smallest_worker_unless_told_otherwise() -> None:
    doctor = replace(SUBMISSION, entry="doctor", own="doctor", arguments=("--service", "x"), conf={}, retries=0)
    assert "--conf spark.driver.cores=1 --conf spark.driver.memory=2g" in spark_parameters(doctor)
    assert "spark.driver.cores=1" not in spark_parameters(replace(doctor, own=""))
    assert "spark.driver.cores=4" in spark_parameters(replace(doctor, conf={"spark.driver.cores": "4"}))
    assert "spark.driver.cores=1" not in spark_parameters(replace(doctor, conf={"spark.driver.cores": "4"}))


CONFIGURATION = [{"classification": "spark-defaults", "properties": {"spark.executor.cores": "8"}}]


def test_files_policies_and_configuration_are_said_as_the_api_has_them() -> None:
    asked = replace(
        SUBMISSION,
        extras={"spark.submit.pyFiles": "s3://code/files/abc/helpers.py", "spark.jars": "s3://mine/a.jar"},
        configuration=CONFIGURATION,
        policies={"policyArns": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]},
        log_stream="nightly",
        log_types={"SPARK_DRIVER": "STDOUT", "SPARK_EXECUTOR": "STDERR,STDOUT"},
    )
    request = build_request(asked)
    model = botocore.session.get_session().get_service_model("emr-serverless").operation_model("StartJobRun")
    report = ParamValidator().validate(request, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    conf = read_parameters(request["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"])
    assert (conf["spark.submit.pyFiles"], conf["spark.jars"]) == tuple(asked.extras.values())
    assert request["executionIamPolicy"] == asked.policies
    overrides = request["configurationOverrides"]
    assert overrides["applicationConfiguration"] == CONFIGURATION
    assert overrides["monitoringConfiguration"]["cloudWatchLoggingConfiguration"] == {
        "enabled": True,
        "logStreamNamePrefix": "nightly",
        "logTypes": {"SPARK_DRIVER": ["STDOUT"], "SPARK_EXECUTOR": ["STDERR", "STDOUT"]},
    }


def test_executors_are_as_many_as_copy_at_once_unless_any_place_states_their_number() -> None:
    """EMR itself would start executors for all parts, up to the application's limit; most would wait."""
    load = replace(SUBMISSION, arguments=(*SUBMISSION.arguments, "--parallelism", "32"), conf={})
    most = "spark.dynamicAllocation.maxExecutors"
    assert read_parameters(spark_parameters(load))[most] == "8"
    assert read_parameters(spark_parameters(replace(load, configuration=CONFIGURATION)))[most] == "4"
    stated = [{"classification": "spark-defaults", "properties": {most: "50"}}]
    assert most not in read_parameters(spark_parameters(replace(load, configuration=stated)))
    assert read_parameters(spark_parameters(replace(load, conf={most: "50"})))[most] == "50"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"configuration": [{"classification": "spark-defaults", "properties": {"spark.archives": "x"}}]},
            "--application-configuration spark.archives is set by the archive: omit it",
        ),
        (
            {"configuration": [{"classification": "x", "properties": {"db.password": "s3cret"}}]},
            "--application-configuration x db.password seems to contain a password",
        ),
        (
            {"configuration": [{"classification": "x", "properties": {"k": "v" * 1025}}]},
            "--application-configuration k has 1025 characters, and may have 0 to 1024",
        ),
        ({"policies": {"policy": "x" * 2049}}, "--execution-iam-policy has 2049 characters, and may have 1 to 2048"),
        ({"policies": {"policyArns": ["arn:x"]}}, "--execution-iam-policy 1 has 5 characters"),
        ({"log_types": {"EXECUTOR": "STDERR"}}, "--log-type EXECUTOR=STDERR: write SPARK_DRIVER or SPARK_EXECUTOR"),
        ({"log_types": {"SPARK_DRIVER": "STDERR,LOG"}}, "STDERR or STDOUT or both, as in"),
        ({"log_stream": "a:b"}, "--log-stream-prefix must look like"),
    ],
)
def test_what_files_and_flags_get_wrong_is_told_by_the_flag(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(DeployError, match=reason):
        build_request(replace(SUBMISSION, **change))


def test_an_image_is_of_the_application_for_a_run_has_no_field_for_it() -> None:
    """When this changes, submit is to have a flag for it."""
    model = botocore.session.get_session().get_service_model("emr-serverless")
    of_a_run = set(model.shape_for("StartJobRunRequest").members) | set(model.shape_for("SparkSubmit").members)
    assert not [name for name in of_a_run if "image" in name.lower()]
    assert "imageConfiguration" in model.shape_for("CreateApplicationRequest").members
