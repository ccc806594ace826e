"""Turns successive snapshots of a log into its new lines only: none twice, none lost, none cut in half.

EMR Serverless rewrites a worker's stdout.gz and stderr.gz whole, about every 15 s. At 128 MB it moves the text to
archived/stderr_<n>.gz, and begins anew; a snapshot taken in between has the new file without the old one.
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
"""--show -> the streams that are passed on."""
GAP = b"[pgjobs: the log was rotated here; lines may be missing before this one]\n"


@dataclass(frozen=True)
class LogFile:
    """One object of a worker's log.

    Attributes:
        stream: "stdout" or "stderr".
        part: its number among the rotated files; None for the one that is being written.
    """

    stream: str
    part: int | None
    key: str
    etag: str


def log_files(objects: Iterable[tuple[str, str]]) -> list[LogFile]:
    """The logs among objects, each a key and its ETag; a stream's rotated files are in order, the oldest first."""
    found = [
        LogFile(match[1], int(match[2]) if match[2] else None, key, etag)
        for key, etag in objects
        for match in [re.search(r"/(?:archived/)?(stdout|stderr)(?:_(\d+))?\.gz$", key)]
        if match
    ]
    return sorted(found, key=lambda file: (file.part is None, file.part or 0))


@dataclass(frozen=True)
class Tail:
    """How far a stream has been read.

    Attributes:
        part: the newest rotated file that was read to its end; -1 for none.
        length, digest: how much of the file after that one was read, and the SHA-256 of it.
        rest: the beginning of a line whose end was not there yet.
    """

    part: int = -1
    length: int = 0
    digest: str = hashlib.sha256().hexdigest()
    rest: bytes = b""


def advance(
    tail: Tail, rotated: Sequence[tuple[int, bytes]], live: bytes | None, last: bool = False
) -> tuple[str, Tail]:
    """The lines that are new, and how far the stream has been read now.

    Args:
        tail: how far it was read before.
        rotated: numbers and texts of the rotated files after `tail.part`, the oldest first.
        live: the text of the file that is being written; None where it did not change, or is not there.
        last: whether nothing comes any more, so that the rest is shown as it is.
    """
    part, length, digest, text = tail.part, tail.length, tail.digest, tail.rest
    for number, content in rotated:
        text += content[length:] if _begins(content, length, digest) else GAP + content
        part, length, digest = number, 0, _digest(b"")
    # Beside files that were just rotated, the new one waits for the next look: another may have come in between.
    if live is not None and (last or not rotated) and _begins(live, length, digest):
        text += live[length:]
        length, digest = len(live), _digest(live)
    elif live and last:  # it was rotated, and where the old text went is not to be seen
        text += GAP + live
    lines, newline, rest = (text, b"", b"") if last else text.rpartition(b"\n")
    return (lines + newline).decode(errors="replace"), Tail(part, length, digest, rest)


def _begins(content: bytes, length: int, digest: str) -> bool:
    """Whether a file still begins with what was read of it: else it was rotated."""
    return len(content) >= length and _digest(content[:length]) == digest


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def unzipped(content: bytes) -> bytes:
    """The text of a .gz file of any number of members, the last of which may be cut off.

    Raises:
        zlib.error: it is something else.
    """
    text = b""
    while content:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: gzip's header (zlib's manual, inflateInit2)
        text += member.decompress(content)
        content = member.unused_data
    return text
