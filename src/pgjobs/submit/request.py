"""The StartJobRun request as a pure function of the submission, and the checks before any call.

https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_StartJobRun.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pgjobs.aws import split_uri
from pgjobs.errors import DeployError
from pgjobs.submit.api_model import refuse_what_the_model_forbids
from pgjobs.submit.configuration import CONFIGURATION, spark_defaults, values_of
from pgjobs.submit.secrets import secret_places
from pgjobs.submit.spark_conf import EXTRACT, LOAD, RELEASE, argument, default_sizes, refuse_reserved, spark_parameters

MOST_RETRIES = 9
"""EMR makes at most 10 attempts, including the first one."""
MOST_BATCH_MINUTES = 10_080
"""7 days. 0, for never, is only for streaming: "no longer supported for BATCH mode job runs" (the API's model)."""

_DEFAULT_MINUTES = {"batch": 720, "streaming": 0}


@dataclass(frozen=True)
class Submission:
    """A job run to submit.

    Attributes:
        entry: What names the job if nothing else does, "load_table".
        own: The short name if it is a job of pgjobs, whose arguments are known; empty for other jobs.
        arguments: The job's own arguments.
        archive, script: The S3 URIs of the archive and the entrypoint, before or after the upload.
        extras: Spark's configuration that names further files: {"spark.submit.pyFiles": "s3://..."}.
        conf: Spark's configuration, in addition to what the archive needs.
        configuration: The application's configuration, as the API has it; conf counts before its spark-defaults.
        policies: The policies that restrict the role for this run, as the API has them.
        logs: The S3 location of the logs, "s3://bucket/prefix"; empty for none.
        log_key: The ARN of the KMS key that encrypts the logs, wherever they are stored.
        log_group: CloudWatch's log group; empty for EMR's own, /aws/emr-serverless.
        log_stream: What the names of CloudWatch's log streams begin with.
        log_types: Workers and their outputs that go to CloudWatch: {"SPARK_EXECUTOR": "STDERR,STDOUT"}; empty for both
            outputs of the driver.
        managed_logs: Whether EMR also stores the logs; the Spark UI shows them.
        prometheus: The URL of a remote write endpoint.
        retries: Attempts after the first one; in streaming mode, after the first one within an hour.
        timeout_minutes: When EMR ends the run; None for 12 hours in batch mode, and never in streaming mode.
        idempotent: Whether the submitter declares that the job may run twice.
        unchecked_secrets: Whether the check for passwords is skipped.
        again: Whether to start a new run even if an equal submission had one.
    """

    entry: str
    arguments: tuple[str, ...]
    application_id: str
    role: str
    archive: str
    script: str
    own: str = ""
    name: str = ""
    extras: Mapping[str, str] = field(default_factory=dict)
    conf: Mapping[str, str] = field(default_factory=dict)
    configuration: Sequence[Mapping[str, Any]] = ()
    policies: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    logs: str = ""
    log_key: str = ""
    cloudwatch: bool = False
    log_group: str = ""
    log_stream: str = ""
    log_types: Mapping[str, str] = field(default_factory=dict)
    managed_logs: bool = True
    prometheus: str = ""
    retries: int = 0
    timeout_minutes: int | None = None
    mode: str = "batch"
    idempotent: bool = False
    unchecked_secrets: bool = False
    again: bool = False


def build_request(submission: Submission) -> dict[str, Any]:
    """Build the request. It contains a client token only if an equal submission is to be the same run.

    That is the case if a load id names what is loaded. Any other submission that is repeated is meant as a new run: a
    nightly extract has the same arguments each night. Such a request has no token; the caller of StartJobRun chooses
    one.

    Raises:
        DeployError: The request would be refused, or should be: it shows a password, retries a job that would load
            twice, or overrides what the archive needs.
    """
    refuse_secrets(submission)
    refuse_blind_retries(submission)
    stated = {**spark_defaults(submission.configuration), **submission.conf}
    refuse_reserved("--conf", submission.conf)
    refuse_reserved(CONFIGURATION, stated)
    sizes = default_sizes(submission.own, submission.arguments, stated)
    request: dict[str, Any] = {
        "applicationId": submission.application_id,
        "executionRoleArn": submission.role,
        "name": submission.name or submission.entry,
        "mode": submission.mode.upper(),
        "executionTimeoutMinutes": timeout_of(submission),
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": submission.script,
                "entryPointArguments": list(submission.arguments),
                "sparkSubmitParameters": spark_parameters(
                    submission.archive, submission.extras, sizes, submission.conf
                ),
            }
        },
    }
    if submission.tags:
        request["tags"] = dict(submission.tags)
    policy = retry_policy(submission)
    if policy:
        request["retryPolicy"] = policy
    if submission.policies:
        request["executionIamPolicy"] = dict(submission.policies)
    overrides = {
        "applicationConfiguration": list(submission.configuration),
        "monitoringConfiguration": _monitoring(submission),
    }
    if any(overrides.values()):
        request["configurationOverrides"] = {key: value for key, value in overrides.items() if value}
    if load_id(submission.arguments) and not submission.again:
        request = {"clientToken": client_token(request), **request}
    refuse_what_the_model_forbids("StartJobRun", {"clientToken": "to-be-made", **request})
    return request


def retry_policy(submission: Submission) -> dict[str, int]:
    """Return how often EMR may try. The first attempt counts.

    EMR tries a streaming run five times an hour by default, so the policy is always set.
    https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-resiliency.html
    """
    if submission.mode == "streaming":
        return {"maxFailedAttemptsPerHour": submission.retries + 1}
    return {"maxAttempts": submission.retries + 1} if submission.retries else {}


def timeout_of(submission: Submission) -> int:
    """Return the minutes after which EMR ends the run; 0 for never.

    Raises:
        DeployError: A batch run may not take that long.
    """
    minutes = submission.timeout_minutes
    if minutes is None:
        return _DEFAULT_MINUTES[submission.mode]
    if submission.mode == "batch" and not 1 <= minutes <= MOST_BATCH_MINUTES:
        raise DeployError(
            f"--timeout-minutes must be from 1 to {MOST_BATCH_MINUTES} (7 days) in batch mode: EMR Serverless ends "
            "every batch run. With --mode streaming, 0 means never."
        )
    return minutes


def _monitoring(submission: Submission) -> dict[str, Any]:
    """Return the configuration of logs. Omitted settings are the application's or EMR's: managed for 30 days."""
    key = {"encryptionKeyArn": submission.log_key} if submission.log_key else {}
    monitoring: dict[str, Any] = {}
    if submission.logs:
        split_uri(submission.logs)
        monitoring["s3MonitoringConfiguration"] = {"logUri": submission.logs, **key}
    if submission.cloudwatch:
        monitoring["cloudWatchLoggingConfiguration"] = {"enabled": True, **_cloudwatch(submission), **key}
    if not submission.managed_logs:
        monitoring["managedPersistenceMonitoringConfiguration"] = {"enabled": False}
    elif key:
        monitoring["managedPersistenceMonitoringConfiguration"] = {"enabled": True, **key}
    if submission.prometheus:
        monitoring["prometheusMonitoringConfiguration"] = {"remoteWriteUrl": submission.prometheus}
    return monitoring


def _cloudwatch(submission: Submission) -> dict[str, Any]:
    """Return where logs go in CloudWatch, and which.

    Raises:
        DeployError: There is no such worker, or no such output.
    """
    stated = {"logGroupName": submission.log_group, "logStreamNamePrefix": submission.log_stream}
    types = {worker: outputs.split(",") for worker, outputs in submission.log_types.items()}
    for worker, outputs in types.items():
        if worker not in LOGGING_WORKERS or not set(outputs) <= set(LOG_OUTPUTS):
            raise DeployError(
                f"--log-type {worker}={','.join(outputs)}: write {' or '.join(LOGGING_WORKERS)}, and "
                f"{' or '.join(LOG_OUTPUTS)} or both, as in SPARK_EXECUTOR=STDERR,STDOUT."
            )
    return {key: value for key, value in {**stated, "logTypes": types}.items() if value}


LOGGING_WORKERS, LOG_OUTPUTS = ("SPARK_DRIVER", "SPARK_EXECUTOR"), ("STDERR", "STDOUT")
"""What Spark has of the API's log types, CloudWatchLoggingConfiguration."""


def client_token(request: Mapping[str, Any], after: str = "") -> str:
    """Return a token derived from the request. `after` names a run whose failure makes it another token."""
    return hashlib.sha256((json.dumps(request, sort_keys=True) + after).encode()).hexdigest()


def refuse_secrets(submission: Submission) -> None:
    """Refuse a password, because GetJobRun, Spark's UI and the event log would show it.

    Raises:
        DeployError: Names the places, but not their values.
    """
    if submission.unchecked_secrets:
        return
    values = {f"--conf {key}": value for key, value in submission.conf.items()}
    values.update(values_of(submission.configuration))
    values.update({f"--tag {key}": value for key, value in submission.tags.items()})
    for flag in ("name", "logs", "log_group", "log_stream", "prometheus"):
        values[f"--{flag.replace('_', '-')}"] = getattr(submission, flag)
    places = list(secret_places(submission.arguments, values))
    if places:
        raise DeployError(
            f"{' and '.join(places)} seems to contain a password, which GetJobRun and Spark's UI would show. "
            "Let the job read it from AWS (--secret-id, --ssm-parameter, --iam-auth), or set it on the application. "
            "If it is not a password, --skip-secret-check submits everything unchecked."
        )


def refuse_blind_retries(submission: Submission) -> None:
    """Refuse to retry a job that would not detect that it has been done.

    Raises:
        DeployError: The message says what is missing.
    """
    if not 0 <= submission.retries <= MOST_RETRIES:
        raise DeployError(f"--retries must be from 0 to {MOST_RETRIES}.")
    if not submission.retries or submission.idempotent or submission.own == CAPTURE:
        return
    if submission.own == EXTRACT:
        appends = argument(submission.arguments, "--write-mode") == "append"
        if appends and not argument(submission.arguments, "--watermark-id"):
            raise DeployError("--retries would append the rows again: give the job --watermark-id, or overwrite.")
    elif not load_id(submission.arguments) or "--autocommit" in submission.arguments:
        if submission.own in (LOAD, RELEASE):
            raise DeployError("--retries would load the rows again without a load id: give the job --load-id.")
        takes_id = submission.own in TAKE_LOAD_IDS and "--autocommit" not in submission.arguments
        way = "Give the job --load-id, with which it runs once. Or if" if takes_id else "If"
        raise DeployError(
            f"--retries would run {submission.entry} again from its beginning. {way} that does no harm, declare it: "
            "--idempotent."
        )


TAKE_LOAD_IDS = ("run_query", "copy_table")
"""Jobs beside the loads that run once for each load id."""

CAPTURE = "capture_changes"
"""The job that goes on from where its target is."""


def load_id(arguments: Sequence[str]) -> str:
    """Return the load id among a job's arguments, or an empty text."""
    return argument(arguments, "--load-id")
