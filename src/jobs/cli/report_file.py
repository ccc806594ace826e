"""The file of --report: on this machine, or in any file system that Spark's Hadoop has, such as s3:// or hdfs:."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from jobs.cli.failure import first_line
from jobs.dbaccess.errors import JobError, UsageError

LONGEST_WRITE = 60.0
"""Seconds for a report on another machine. Hadoop's clients for object stores retry for many minutes."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # one letter is a drive of Windows
_AUTHORITY = re.compile(r"[^/]*://[^/]*")


@dataclass(frozen=True)
class ReportFile:
    """Where a report is to be written.

    Attributes:
        path: As given: a path, which is local, or a URL.
    """

    path: str

    @property
    def local(self) -> Path | None:
        """The path on this machine; None if it is elsewhere."""
        scheme = _URL.match(self.path)
        if scheme is None:
            return Path(self.path)
        if scheme[1].lower() != "file":
            return None
        return Path(_AUTHORITY.sub("", self.path) if "://" in self.path else self.path[len("file:") :])

    def check(self) -> None:
        """Check, before anything is done, what can be checked without writing.

        Raises:
            UsageError: No report can be there.
        """
        local = self.local
        if local is None:
            if not _AUTHORITY.sub("", self.path).rpartition("/")[2]:
                raise UsageError(f"--report {self.path} names no file.", "Write s3://bucket/folder/report.json.")
        elif local.is_dir() or not local.name:
            raise UsageError(f"--report {self.path} is a folder.", "Name a file.")
        elif not local.parent.is_dir():
            raise UsageError(f"The folder of --report {self.path} does not exist.", "Make it, or name another file.")

    def write_text(self, text: str) -> None:
        """Write a report in place of the one before. A reader finds either of them, never a part.

        Raises:
            JobError: It cannot be written.
        """
        local = self.local
        try:
            if local is not None:
                _replace(local, text.encode())
            else:
                _write_elsewhere(self.path, text.encode())
        except Exception as error:  # noqa: BLE001 - whatever a file system of Hadoop raises
            reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
            raise JobError(f"The report cannot be written to {self.path}: {reason}", "") from None


def _replace(path: Path, content: bytes) -> None:
    """Write a local file. What is no regular file (/dev/stdout, a pipe) is written as it is."""
    path = Path(os.path.realpath(path))  # a link stays one
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    new = path.with_name(f".{path.name[:200]}.{uuid4().hex}")
    try:
        new.write_bytes(content)
        new.replace(path)
    except PermissionError:  # of the folder; the file itself may be ours
        path.write_bytes(content)
    finally:
        new.unlink(missing_ok=True)


def _write_elsewhere(path: str, content: bytes) -> None:
    """Write by Hadoop, for a limited time.

    Raises:
        TimeoutError: It took too long. It may yet be written.
    """
    raised: list[Exception] = []

    def write() -> None:
        try:
            from jobs.spark import hadoop_files  # it imports Spark, which a local report does without

            hadoop_files.replace(path, content)
        except Exception as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(LONGEST_WRITE)
    if raised:
        raise raised[0]
    if writer.is_alive():
        raise TimeoutError(f"no answer in {LONGEST_WRITE:.0f} s.")
