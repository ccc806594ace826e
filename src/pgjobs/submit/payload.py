"""What a submission sends to S3: the archive, its entrypoint and its manifest, and the keys of these objects.

Keys contain the archive's SHA-256, and nothing is ever overwritten, so what a queued or retried run refers to does not
change. The entrypoint is read from the archive instead of the work tree: what runs is what was packed, and a changed
script means another archive, and therefore another key.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgjobs.archive.manifest import NAME, beside
from pgjobs.aws import split_uri
from pgjobs.errors import DeployError
from pgjobs.submit.request import check_entry

MOST_BYTES = 5_000_000_000
"""S3 accepts 5 GB in one PUT. A worker has 20 GB of disk for the archive and its contents."""


@dataclass(frozen=True)
class Item:
    """An object to upload.

    Attributes:
        settled: Whether the key determines the content. Two commits may produce the same archive; the manifest is then
            that of the first one.
    """

    uri: str
    content: bytes
    settled: bool = True


@dataclass(frozen=True)
class Payload:
    """The objects of a submission. The manifest is None if it is not beside the archive."""

    archive: Item
    script: Item
    manifest: Item | None

    def __iter__(self) -> Iterator[Item]:
        """Yield the objects, the archive last: if it exists in S3, so do the others."""
        return (item for item in (self.manifest, self.script, self.archive) if item is not None)


def read_payload(archive: Path, entry: str, code: str) -> Payload:
    """Read the files to send.

    Args:
        archive: The local file.
        entry: The job, "load_table".
        code: The S3 URI under which releases are stored.

    Raises:
        DeployError: The archive does not exist, does not contain the job, or the manifest beside it belongs to another
            one.
    """
    split_uri(code)
    if re.search(r"[\s#,]", code):
        raise DeployError("--code must not contain blanks, commas or #, which have a meaning in spark.archives.")
    if not archive.is_file():
        raise DeployError(f"There is no archive {archive}: run pgjobs package.")
    if archive.stat().st_size > MOST_BYTES:
        raise DeployError(f"{archive} is larger than 5 GB, the limit of S3 for one upload.")
    content = archive.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    prefix = f"{code.rstrip('/')}/releases/{digest}"
    script = read_script(archive, entry)
    manifest = read_manifest(archive, digest)
    return Payload(
        archive=Item(f"{prefix}/{NAME}", content),
        script=Item(f"{prefix}/{entry}.py", script),
        manifest=Item(f"{prefix}/{NAME}.json", manifest, settled=False) if manifest else None,
    )


def read_script(archive: Path, entry: str) -> bytes:
    """Return the text of the entrypoint, from the archive.

    Raises:
        DeployError: The archive does not contain it, or the file is no archive.
    """
    try:
        with tarfile.open(archive) as opened:
            member = opened.extractfile(check_entry(entry, opened.getnames()))
            return member.read() if member else b""
    except (tarfile.TarError, EOFError) as error:
        raise DeployError(f"{archive} is no archive ({error}): run pgjobs package.") from None


def read_manifest(archive: Path, digest: str) -> bytes | None:
    """Return the manifest beside the archive, or None.

    Raises:
        DeployError: It describes another archive.
    """
    path = beside(archive)
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        described = json.loads(content)["sha256"]
    except (ValueError, KeyError, TypeError):
        described = ""
    if described != digest:
        raise DeployError(f"{path} is the manifest of another archive than {archive}: run pgjobs package again.")
    return content
