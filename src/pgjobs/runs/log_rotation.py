"""Turns successive snapshots of a log into its new lines: each line once, none lost, none split.

EMR Serverless rewrites a worker's stdout.gz and stderr.gz completely, about every 15 s. At 128 MB it moves the text to
archived/stderr_<n>.gz and begins a new file. A listing taken in between has the new file without the old one.
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/rotating-logs.html
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STREAMS = ("stdout", "stderr")
SHOWN = {"both": STREAMS, "stdout": ("stdout",), "none": ()}
"""--show -> the streams to print."""
GAP = b"[pgjobs: the log was rotated here; lines may be missing before this one]\n"


@dataclass(frozen=True)
class LogFile:
    """One object of a worker's log.

    Attributes:
        stream: "stdout" or "stderr".
        part: Its number among the rotated files; None for the current one.
    """

    stream: str
    part: int | None
    key: str
    etag: str


def log_files(objects: Iterable[tuple[str, str]]) -> list[LogFile]:
    """Return the logs among objects (key and ETag) by stream, with the rotated files in order, the oldest first."""
    files = [
        LogFile(match[1], int(match[2]) if match[2] else None, key, etag)
        for key, etag in objects
        for match in [re.search(r"/(?:archived/)?(stdout|stderr)(?:_(\d+))?\.gz$", key)]
        if match
    ]
    return sorted(files, key=lambda file: (file.part is None, file.part or 0))


@dataclass(frozen=True)
class Tail:
    """How far a stream has been read.

    Attributes:
        part: The newest rotated file that was read completely; -1 for none.
        length, digest: How much of the file after that one was read, and its SHA-256.
        rest: The beginning of a line whose end has not arrived.
    """

    part: int = -1
    length: int = 0
    digest: str = hashlib.sha256().hexdigest()
    rest: bytes = b""


def advance(
    tail: Tail, rotated: Sequence[tuple[int, bytes]], live: bytes | None, last: bool = False
) -> tuple[str, Tail]:
    """Return the new lines, and how far the stream has been read now.

    Args:
        tail: How far it had been read before.
        rotated: Numbers and texts of the rotated files after `tail.part`, the oldest first.
        live: The text of the current file; None if it did not change or does not exist.
        last: Whether no more output will arrive, so that an incomplete line is shown.
    """
    part, length, digest, text = tail.part, tail.length, tail.digest, tail.rest
    for number, content in rotated:
        text += content[length:] if _begins(content, length, digest) else GAP + content
        part, length, digest = number, 0, _digest(b"")
    # After files were rotated, the new current file is left to the next read: another rotation may have happened
    # meanwhile.
    if live is not None and (last or not rotated) and _begins(live, length, digest):
        text += live[length:]
        length, digest = len(live), _digest(live)
    elif live and last:  # it was rotated, and the rotated file is not visible
        text += GAP + live
    lines, newline, rest = (text, b"", b"") if last else text.rpartition(b"\n")
    return (lines + newline).decode(errors="replace"), Tail(part, length, digest, rest)


def _begins(content: bytes, length: int, digest: str) -> bool:
    """Return whether a file still begins with what was read from it. Otherwise it was rotated."""
    return len(content) >= length and _digest(content[:length]) == digest


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def unzipped(content: bytes) -> bytes:
    """Return the text of a .gz file with any number of members. The last member may be truncated.

    Raises:
        zlib.error: The content is not gzip.
    """
    text = b""
    while content:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: gzip's header (zlib's manual, inflateInit2)
        text += member.decompress(content)
        content = member.unused_data
    return text
