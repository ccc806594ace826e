"""The logs of a run's workers, read from S3 as they grow."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from botocore.exceptions import ClientError

from pgjobs.aws import Clients, Objects, aws_errors, code_of, split_uri
from pgjobs.console import Console
from pgjobs.errors import AwsError, DeployError, PassingError
from pgjobs.runs.log_rotation import STREAMS, LogFile, Tail, advance, log_files, unzipped
from pgjobs.runs.run import Run
from pgjobs.runs.summary import SEARCHED_LINES, command

DRIVER = "SPARK_DRIVER"
_CHANGED = ("PreconditionFailed", "412", "NoSuchKey", "404")


class WorkerLogs:
    """Both streams of one worker in one attempt. Each read returns what is new.

    Args:
        objects: The S3 client.
        run: The run. It must have a log_uri.
        attempt: The number of the attempt.
        worker: "SPARK_DRIVER", or "SPARK_EXECUTOR/<number>".
    """

    def __init__(self, objects: Objects, run: Run, attempt: int, worker: str = DRIVER) -> None:
        self._objects = objects
        self._bucket, prefix = split_uri(run.log_uri)
        base = f"{prefix}/" if prefix else ""
        base += f"applications/{run.application_id}/jobs/{run.run_id}/"
        # With a retry policy, each attempt has a folder. Without one, there is no such folder.
        self._folders = [f"{base}attempts/{attempt}/{worker}/", *([f"{base}{worker}/"] if attempt == 1 else [])]
        self._tails = dict.fromkeys(STREAMS, Tail())
        self._seen: dict[str, str] = {}

    def read(self, last: bool = False) -> dict[str, str]:
        """Return the new lines of each stream.

        Args:
            last: Whether no more output will arrive, so that an incomplete line is shown, too.

        Raises:
            DeployError: S3 refuses the call, or does not answer.
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
        if live is not None and tail.length == len(live):  # otherwise it is read again later
            self._seen[stream] = etag
        return text

    def _files(self) -> list[LogFile]:
        """Return the existing log files, from the first folder that has any."""
        for folder in self._folders:
            files = log_files(self._listed(folder))
            if files:
                return files
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
        """Return the text of a file as it was when it was listed; None if it has changed since, or is unreadable."""
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
    """Return the S3 location of a run's logs: as set by the run, else by the application; empty for none."""
    if run.log_uri:
        return run.log_uri
    try:
        with aws_errors():
            application = clients.runs.get_application(applicationId=run.application_id)["application"]
    except AwsError:  # logs are optional: a user who may not read the application goes without them
        return ""
    monitoring = application.get("monitoringConfiguration", {})
    return str(monitoring.get("s3MonitoringConfiguration", {}).get("logUri", ""))


def elsewhere(run: Run) -> str:
    """Return where else to look, for a run without logs in S3."""
    if run.log_group:
        prefix = f"/applications/{run.application_id}/jobs/{run.run_id}"
        return f"aws logs tail {run.log_group} --log-stream-name-prefix {prefix} --follow"
    return command("dashboard", run)


def require_log_uri(run: Run) -> None:
    """Refuse to read the logs of a run that writes none to S3.

    Raises:
        DeployError: The message says where else they are.
    """
    if not run.log_uri:
        raise DeployError(f"The run writes no logs to S3: submit with --logs. They may be here: {elsewhere(run)}")


class LastLines:
    """The last lines of each stream."""

    def __init__(self) -> None:
        self._kept = {stream: deque[str](maxlen=SEARCHED_LINES) for stream in ("stdout", "stderr")}

    def add(self, stream: str, text: str) -> None:
        """Keep the lines of a piece. Each line is complete, except possibly the last one."""
        self._kept[stream].extend(text.splitlines())

    def of(self, stream: str) -> list[str]:
        """Return the lines of a stream, the newest last."""
        return list(self._kept[stream])


class DriverLogs:
    """Shows the logs of a run's driver, one attempt after another. An error of S3 is reported once, and is no failure.

    Args:
        clients: The clients of AWS.
        run: The run. Its log_uri locates the logs.
        shown: The streams to print. All are read, in order to find the cause of a failure.
        console: Where to print them.

    Attributes:
        expected: Whether there are logs to read.
        last: The last lines that were read.
        sift: Returns what is to be printed of new lines; all of it, unless it is replaced.
    """

    def __init__(self, clients: Clients, run: Run, shown: tuple[str, ...], console: Console) -> None:
        self.expected = bool(run.log_uri)
        self.last = LastLines()
        self.sift: Callable[[str], str] = str
        self._clients, self._run, self._shown, self._console = clients, run, shown, console
        self._attempt = 0
        self._logs: WorkerLogs | None = None
        if not self.expected:
            console.tell(f"The run writes no logs to S3 (--logs). They may be here: {elsewhere(run)}")

    def show(self, run: Run, last: bool) -> bool:
        """Show what is new. Returns whether there was anything."""
        is_new = False
        try:
            is_new = self.expected and self._turn_to(run.attempt, last)
            return self._pass_on(self._logs.read(last) if self.expected and self._logs else {}) or is_new
        except PassingError:
            return is_new
        except DeployError as error:
            self._console.tell(f"The logs cannot be read. {error}")
            self.expected = False
            return is_new

    def _turn_to(self, attempt: int, last: bool) -> bool:
        """Switch to a later attempt once it has logs, since the previous one's end late. Returns whether any came."""
        is_new = False
        while self._attempt < attempt:
            following = WorkerLogs(self._clients.objects, self._run, self._attempt + 1, DRIVER)
            fresh = following.read()
            if self._logs is not None:
                if not last and not any(fresh.values()):
                    break
                is_new |= self._pass_on(self._logs.read(last=True))
            self._attempt, self._logs = self._attempt + 1, following
            is_new |= self._pass_on(fresh)
        return is_new

    def _pass_on(self, fresh: Mapping[str, str]) -> bool:
        """Print new lines. Returns whether there were any."""
        for stream, text in fresh.items():
            self.last.add(stream, text)
            shown = self.sift(text)
            if shown and stream in self._shown:
                self._console.show(stream, shown)
        return any(fresh.values())
