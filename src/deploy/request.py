"""The StartJobRun request as a pure function of what is to be submitted, and what is refused before any call.

https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_StartJobRun.html
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.errors import DeployError

ENVIRONMENT = "environment"
"""The folder into which Spark unpacks the archive, in the working directory of driver and executors."""

PYTHON = f"./{ENVIRONMENT}/bin/python"

# The driver's variables have a prefix of EMR's own, the executors' have Spark's.
PYTHON_CONF = {
    "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": PYTHON,
    "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": PYTHON,
    "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
}

MOST_RETRIES = 10
MOST_TIMEOUT_MINUTES = 1_000_000
MODES = ("batch", "streaming")

# The API's limits, in characters. botocore's own validation knows the shapes, and not these.
_LIMITS = {"name": 256, "entryPoint": 4_096, "entryPointArgument": 10_280, "sparkSubmitParameters": 102_400}
_MOST_ARGUMENTS = 1_024
_MOST_TAGS = 200


@dataclass(frozen=True)
class Submission:
    """What is to be submitted.

    Attributes:
        entry: the job, "load_table".
        arguments: the job's own.
        archive, script: where the archive and the entrypoint are (or will be) in S3.
        conf: Spark's configuration, beside what the archive needs.
        retries: attempts after the first one.
        timeout_minutes: when EMR ends the run; 0 for never.
    """

    entry: str
    arguments: tuple[str, ...]
    application_id: str
    role: str
    archive: str
    script: str
    name: str = ""
    conf: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    logs: str = ""
    cloudwatch: bool = False
    retries: int = 0
    timeout_minutes: int = 720
    mode: str = "batch"


def build_request(submission: Submission) -> dict[str, Any]:
    """The request, complete with a token that is the same for the same request, so that it is one run.

    Raises:
        DeployError: it would be refused, or should be: it shows a password, or retries a job that would load twice.
    """
    refuse_secrets(submission)
    refuse_blind_retries(submission)
    request: dict[str, Any] = {
        "applicationId": submission.application_id,
        "executionRoleArn": submission.role,
        "name": submission.name or submission.entry,
        "mode": submission.mode.upper(),
        "executionTimeoutMinutes": submission.timeout_minutes,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": submission.script,
                "entryPointArguments": list(submission.arguments),
                "sparkSubmitParameters": spark_parameters(submission),
            }
        },
    }
    if submission.tags:
        request["tags"] = dict(submission.tags)
    if submission.retries:
        request["retryPolicy"] = {"maxAttempts": submission.retries + 1}
    monitoring = _monitoring(submission)
    if monitoring:
        request["configurationOverrides"] = {"monitoringConfiguration": monitoring}
    refuse_past_limits(request)
    return {"clientToken": client_token(request), **request}


def spark_parameters(submission: Submission) -> str:
    """The --conf flags, as a shell would read them."""
    conf = {"spark.archives": f"{submission.archive}#{ENVIRONMENT}", **PYTHON_CONF, **submission.conf}
    return " ".join(f"--conf {shlex.quote(f'{key}={value}')}" for key, value in conf.items())


def _monitoring(submission: Submission) -> dict[str, Any]:
    monitoring: dict[str, Any] = {}
    if submission.logs:
        monitoring["s3MonitoringConfiguration"] = {"logUri": submission.logs}
    if submission.cloudwatch:
        monitoring["cloudWatchLoggingConfiguration"] = {"enabled": True}
    return monitoring


def client_token(request: Mapping[str, Any]) -> str:
    """A token from the request itself."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


_URL_WITH_PASSWORD = re.compile(r"\w+://[^/\s:@]*:[^/\s@]+@")
_SECRET_KEY = re.compile(r"passw|secret|token|credential", re.IGNORECASE)
_REFERENCE = "EMR.secret@"
"""How EMR itself resolves a secret by its name: that shows none."""


def refuse_secrets(submission: Submission) -> None:
    """Refuse a password: GetJobRun, Spark's UI and the event log would show it to many.

    Raises:
        DeployError: names the place, and not the password.
    """
    places = {f"argument {number}": text for number, text in enumerate(submission.arguments, 1)}
    places.update({f"--conf {key}": value for key, value in submission.conf.items()})
    places.update({f"--tag {key}": value for key, value in submission.tags.items()})
    for place, text in places.items():
        named = _SECRET_KEY.search(place) is not None and not text.startswith(_REFERENCE)
        if named or _URL_WITH_PASSWORD.search(text) or re.match(r"--?(pg)?password", text, re.IGNORECASE):
            raise DeployError(
                f"{place} seems to hold a password, which GetJobRun and Spark's UI would show to many. "
                "Let the job read it from AWS, or set it on the application."
            )


def refuse_blind_retries(submission: Submission) -> None:
    """Refuse to retry a job that would not notice that it had been done.

    Raises:
        DeployError: says what is missing.
    """
    if not 0 <= submission.retries < MOST_RETRIES:
        raise DeployError(f"--retries must be from 0 to {MOST_RETRIES - 1}.")
    ids = [text for text in submission.arguments if text == "--load-id" or text.startswith("--load-id=")]
    if submission.retries and not ids:
        raise DeployError("--retries would load the rows again without a load id: give the job --load-id.")


def refuse_past_limits(request: Mapping[str, Any]) -> None:
    """Refuse what the API would.

    Raises:
        DeployError: names the value and its limit.
    """
    spark = request["jobDriver"]["sparkSubmit"]
    lengths = {
        "name": len(request["name"]),
        "entryPoint": len(spark["entryPoint"]),
        "sparkSubmitParameters": len(spark["sparkSubmitParameters"]),
        "entryPointArgument": max(map(len, spark["entryPointArguments"]), default=0),
    }
    for name, length in lengths.items():
        if length > _LIMITS[name]:
            raise DeployError(f"{name} has {length} characters, and may have {_LIMITS[name]}.")
    if len(spark["entryPointArguments"]) > _MOST_ARGUMENTS:
        raise DeployError(f"There are more than {_MOST_ARGUMENTS} arguments.")
    if len(request.get("tags", ())) > _MOST_TAGS:
        raise DeployError(f"There are more than {_MOST_TAGS} tags.")
    if not 0 <= request["executionTimeoutMinutes"] <= MOST_TIMEOUT_MINUTES:
        raise DeployError(f"--timeout-minutes must be from 0 to {MOST_TIMEOUT_MINUTES}.")


def check_entry(entry: str, names: Sequence[str]) -> str:
    """The entrypoint's path in the archive.

    Raises:
        DeployError: it is not there; with those that are.
    """
    jobs = sorted(
        found[1]
        for name in names
        for found in [re.fullmatch(r"lib/python[\d.]+/site-packages/jobs/(\w+)\.py", name)]
        if found
    )
    entries = [job for job in jobs if job not in ("__init__", "errors", "options")]
    if entry not in entries:
        raise DeployError(f"The archive has no job {entry!r}: it has {', '.join(entries)}.")
    return next(name for name in names if name.endswith(f"/site-packages/jobs/{entry}.py"))
