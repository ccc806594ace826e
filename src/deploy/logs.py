"""The logs of a run's workers, read from S3 as they grow."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from botocore.exceptions import ClientError

from deploy.aws import Clients, Objects, aws_errors, code_of
from deploy.errors import AwsError, DeployError
from deploy.request import split_uri
from deploy.runs import Run
from deploy.summary import command
from deploy.tail import STREAMS, LogFile, Tail, advance, log_files, unzipped

DRIVER = "SPARK_DRIVER"
_CHANGED = ("PreconditionFailed", "412", "NoSuchKey", "404")


class WorkerLogs:
    """Both streams of one worker in one attempt; each read gives what is new.

    Args:
        objects: S3.
        run: whose logs; it must have a log_uri.
        attempt: which attempt of it.
        worker: "SPARK_DRIVER", or "SPARK_EXECUTOR/<number>".
    """

    def __init__(self, objects: Objects, run: Run, attempt: int, worker: str = DRIVER) -> None:
        self._objects = objects
        self._bucket, prefix = split_uri(run.log_uri)
        base = f"{prefix}/" if prefix else ""
        base += f"applications/{run.application_id}/jobs/{run.run_id}/"
        # With a retry policy, each attempt has a folder; without one, there is none.
        self._folders = [f"{base}attempts/{attempt}/{worker}/", *([f"{base}{worker}/"] if attempt == 1 else [])]
        self._tails = dict.fromkeys(STREAMS, Tail())
        self._seen: dict[str, str] = {}

    def read(self, last: bool = False) -> dict[str, str]:
        """The new lines of each stream.

        Args:
            last: whether nothing comes any more, so that an unfinished line is shown, too.

        Raises:
            DeployError: S3 refuses, or does not answer.
        """
        with aws_errors():
            files = self._files()
            return {stream: self._advance(stream, files, last) for stream in STREAMS}

    def _advance(self, stream: str, files: list[LogFile], last: bool) -> str:
        tail = self._tails[stream]
        rotated, live, etag = [], None, ""
        for file in files:
            if file.stream != stream or (file.part is not None and file.part <= tail.part):
                continue
            if file.part is None and self._seen.get(stream) == file.etag:
                continue
            content = self._fetch(file)
            if content is None:
                continue
            if file.part is None:
                live, etag = content, file.etag
            else:
                rotated.append((file.part, content))
        text, tail = advance(tail, rotated, live, last)
        self._tails[stream] = tail
        if live is not None and tail.length == len(live):  # else it waits, and is read again
            self._seen[stream] = etag
        return text

    def _files(self) -> list[LogFile]:
        """The log files that there are, in the first folder that has some."""
        for folder in self._folders:
            found = log_files(self._listed(folder))
            if found:
                return found
        return []

    def _listed(self, folder: str) -> Iterator[tuple[str, str]]:
        request: dict[str, object] = {"Bucket": self._bucket, "Prefix": folder}
        while True:
            answer = self._objects.list_objects_v2(**request)
            yield from ((item["Key"], item["ETag"]) for item in answer.get("Contents", ()))
            if not answer.get("IsTruncated"):
                return
            request["ContinuationToken"] = answer["NextContinuationToken"]

    def _fetch(self, file: LogFile) -> bytes | None:
        """A file's text, as it was when it was listed; None where it has changed since, or is unreadable."""
        try:
            answer = self._objects.get_object(Bucket=self._bucket, Key=file.key, IfMatch=file.etag)
        except ClientError as error:
            if code_of(error) in _CHANGED:
                return None
            raise
        try:
            return unzipped(answer["Body"].read())
        except zlib.error:
            return None


def with_log_uri(clients: Clients, run: Run) -> str:
    """Where a run's logs go in S3: where the run says, else where the application does; empty for nowhere."""
    if run.log_uri:
        return run.log_uri
    try:
        with aws_errors():
            application = clients.runs.get_application(applicationId=run.application_id)["application"]
    except AwsError:  # the logs are a help: whoever may not see the application does without them
        return ""
    monitoring = application.get("monitoringConfiguration", {})
    return str(monitoring.get("s3MonitoringConfiguration", {}).get("logUri", ""))


def elsewhere(run: Run) -> str:
    """Where else to look, for a run without logs in S3."""
    if run.log_group:
        prefix = f"/applications/{run.application_id}/jobs/{run.run_id}"
        return f"aws logs tail {run.log_group} --log-stream-name-prefix {prefix} --follow"
    return command("dashboard", run)


def require_log_uri(run: Run) -> None:
    """Refuse to read the logs of a run that writes none to S3.

    Raises:
        DeployError: says where else they are.
    """
    if not run.log_uri:
        raise DeployError(f"The run writes no logs to S3: submit with --logs. They may be here: {elsewhere(run)}")
