"""A job run: the answer of GetJobRun as a value, its nine states, and how to read and cancel it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pgjobs.aws import Clients, aws_errors
from pgjobs.errors import CANCELLED, FAILED, OK, TIMED_OUT

# State -> its meaning for somebody who waits;
# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/job-states.html
GOING_ON: Mapping[str, str] = {
    "SUBMITTED": "",
    "QUEUED": "the application runs its maximum number of jobs; this one waits",
    "PENDING": "",
    "SCHEDULED": "workers are being started",
    "RUNNING": "",
    "CANCELLING": "",
}
ENDED: Mapping[str, int] = {"SUCCESS": OK, "FAILED": FAILED, "CANCELLED": CANCELLED}
"""A final state -> the exit status."""
UNSUCCESSFUL = frozenset(state for state, status in ENDED.items() if status != OK)


@dataclass(frozen=True)
class Run:
    """A job run, as far as it is known. Early on, and from other implementations of the API, much is missing.

    Attributes:
        attempt, most_attempts: The number of the attempt, and the maximum; 1 without retries.
        seconds: How long it has been executing, all attempts together.
        timeout_minutes: When EMR ends it; 0 for never.
        billed: vCPUHour, memoryGBHour and storageGBHour; empty until AWS has determined them.
        log_uri: Where its logs are in S3; empty for none.
        log_group: CloudWatch's log group; empty if none is used.
    """

    application_id: str
    run_id: str
    state: str
    name: str = ""
    details: str = ""
    release: str = ""
    region: str = ""
    mode: str = "BATCH"
    attempt: int = 1
    most_attempts: int = 1
    created: datetime | None = None
    seconds: int = 0
    timeout_minutes: int = 0
    billed: Mapping[str, float] = field(default_factory=dict)
    log_uri: str = ""
    log_group: str = ""

    @property
    def ended(self) -> bool:
        """Return whether the state is final. Unknown states are treated as active."""
        return self.state in ENDED

    @property
    def timed_out(self) -> bool:
        """Return whether EMR cancelled it because it took too long. The state is the same for every cancellation."""
        if self.state != "CANCELLED":
            return False
        names_timeout = re.search(r"tim(ed|e)[ -]?out|execution timeout", self.details, re.IGNORECASE) is not None
        return names_timeout or 0 < self.timeout_minutes * 60 <= self.seconds

    @property
    def status(self) -> int:
        """Return the exit status for a run that has ended."""
        return TIMED_OUT if self.timed_out else ENDED[self.state]


def read_run(answer: Mapping[str, Any]) -> Run:
    """Return the run in an answer of GetJobRun, or in an item of ListJobRuns or ListJobRunAttempts."""
    run = answer.get("jobRun", answer)
    monitoring = run.get("configurationOverrides", {}).get("monitoringConfiguration", {})
    policy = run.get("retryPolicy", {})
    return Run(
        application_id=run["applicationId"],
        run_id=run.get("jobRunId") or run["id"],
        state=run["state"],
        name=run.get("name", ""),
        details=(run.get("stateDetails") or "").strip(),
        release=run.get("releaseLabel", ""),
        region=region_of(run.get("arn", "")),
        mode=run.get("mode") or "BATCH",
        attempt=run.get("attempt") or 1,
        most_attempts=policy.get("maxAttempts") or 1,
        created=run.get("createdAt"),
        seconds=run.get("totalExecutionDurationSeconds") or 0,
        timeout_minutes=run.get("executionTimeoutMinutes") or 0,
        billed={name: hours for name, hours in run.get("billedResourceUtilization", {}).items() if hours},
        log_uri=monitoring.get("s3MonitoringConfiguration", {}).get("logUri", ""),
        log_group=log_group(monitoring),
    )


def region_of(arn: str) -> str:
    """Return the region in an ARN (arn:partition:service:region:account:resource), or an empty text."""
    return ([*arn.split(":"), "", "", "", ""])[3]


def log_group(monitoring: Mapping[str, Any]) -> str:
    """Return the log group of a monitoring configuration, or EMR's own if it names none."""
    cloudwatch = monitoring.get("cloudWatchLoggingConfiguration", {})
    return (cloudwatch.get("logGroupName") or "/aws/emr-serverless") if cloudwatch.get("enabled") else ""


def takes_grace(release: str) -> bool:
    """Return whether a release ends a cancelled run with a grace period, as 7.9.0 and newer do.

    https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_CancelJobRun.html
    """
    version = re.match(r"emr-(?:spark-)?(\d+)\.(\d+)", release)
    return version is not None and (int(version[1]), int(version[2])) >= (7, 9)


def get_run(clients: Clients, application_id: str, run_id: str, attempt: int | None = None) -> Run:
    """Read a run.

    Raises:
        AwsError: AWS refuses the call, or does not answer.
    """
    request: dict[str, Any] = {"applicationId": application_id, "jobRunId": run_id}
    with aws_errors():
        return read_run(clients.runs.get_job_run(**request, **({"attempt": attempt} if attempt else {})))


def cancel(clients: Clients, run: Run, grace: int) -> str:
    """Cancel a run. Returns the message to print.

    Args:
        clients: The clients of AWS.
        run: The run.
        grace: Seconds in which it may end by itself. It is not sent to releases before 7.9, which have no grace period.

    Raises:
        AwsError: AWS refuses the call, or does not answer.
    """
    grace_period = {"shutdownGracePeriodInSeconds": grace} if grace and takes_grace(run.release) else {}
    with aws_errors():
        clients.runs.cancel_job_run(applicationId=run.application_id, jobRunId=run.run_id, **grace_period)
    return f"cancelling {run.run_id}{f', which has {grace} s to end' if grace_period else ''}"
