"""AWS for tests: botocore's Stubber for what moto lacks, logs as EMR writes them, a clock on which things happen."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
from botocore.stub import Stubber

from pgjobs.console import Console
from pgjobs.runs.poll import Clock

Client = Any
"""boto3's clients carry no types."""

REGION = "eu-west-1"
APPLICATION, RUN = "00app", "00run"
ROLE = "arn:aws:iam::123456789012:role/jobs"
CREATED = datetime(2026, 11, 20, 9, 0, tzinfo=timezone.utc)
JOBS = "lib/python3.11/site-packages/jobs"
LOG_FOLDER = f"logs/applications/{APPLICATION}/jobs/{RUN}"

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def job_run(state: str, **changes: object) -> dict[str, Any]:
    """An answer of GetJobRun; it has all that the API's model requires, or Stubber refuses it."""
    run = {
        "applicationId": APPLICATION,
        "jobRunId": RUN,
        "name": "load_table",
        "arn": f"arn:aws:emr-serverless:{REGION}:123456789012:/applications/{APPLICATION}/jobruns/{RUN}",
        "createdBy": "arn:aws:iam::123456789012:user/me",
        "createdAt": CREATED,
        "updatedAt": CREATED,
        "executionRole": ROLE,
        "state": state,
        "stateDetails": " ",
        "releaseLabel": "emr-spark-8.1.0",
        "jobDriver": {"sparkSubmit": {"entryPoint": "s3://code/load_table.py"}},
        "configurationOverrides": {
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://logs-bucket/logs/"}}
        },
    }
    return {"jobRun": {**run, **changes}}


def emr() -> tuple[Client, Stubber]:
    """A client of EMR Serverless that answers what it is told to, in that order, and nothing else."""
    client = boto3.client("emr-serverless", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    stubber.activate()
    return client, stubber


def on_time(events: Iterable[Callable[[], object]] = ()) -> tuple[Clock, list[float]]:
    """A clock whose every sleep lets the next event happen; and the sleeps, in seconds."""
    left, slept = iter(events), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        next(left, lambda: None)()

    return Clock(now=lambda: sum(slept), sleep=sleep, chance=lambda: 1.0), slept


class Terminal(io.StringIO):
    """A stdin that a person sits at."""

    def isatty(self) -> bool:
        return True


def console(answers: io.StringIO | None = None) -> tuple[Console, io.StringIO, io.StringIO]:
    """A console, what it prints, and what it tells."""
    out, err = io.StringIO(), io.StringIO()
    return Console(out, err, answers or io.StringIO()), out, err


def put_log(s3: Client, name: str, text: str) -> None:
    """Write a log as EMR Serverless does: the whole object anew."""
    s3.put_object(Bucket="logs-bucket", Key=f"{LOG_FOLDER}/{name}.gz", Body=gzip.compress(text.encode(), mtime=0))


def archive_with(folder: Path, **scripts: str) -> Path:
    """An archive with these jobs in it."""
    path = folder / "pyspark_venv.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name, text in scripts.items():
            info = tarfile.TarInfo(f"{JOBS}/{name}.py")
            info.size = len(text)
            made.addfile(info, io.BytesIO(text.encode()))
    return path


def manifest_of(archive: Path, digest: str | None = None) -> None:
    """Write the manifest beside an archive, for a release that moto knows."""
    target = {"release": "emr-7.9.0", "architecture": "x86_64", "python": "3.9"}
    content = {"sha256": digest or sha256(archive.read_bytes()).hexdigest(), **target}
    archive.with_name(f"{archive.name}.json").write_text(json.dumps(content))
