"""What a submission sends to S3: the archive, its entrypoint and its manifest, and the keys of these objects.

Keys contain the archive's SHA-256, and nothing is ever overwritten, so what a queued or retried run refers to does not
change. A module is read from the archive instead of the work tree: what runs is what was packed, and a changed script
means another archive, and therefore another key. The key of a file outside of the archive contains its own SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgjobs.archive.manifest import NAME, beside
from pgjobs.aws import split_uri
from pgjobs.errors import DeployError
from pgjobs.submit.entry import Entry, find_entry

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
class Extra:
    """A file that a job needs beside the archive.

    Attributes:
        key: Spark's configuration that lists it.
        content: None if it is in S3 already.
        path: The local file.
    """

    key: str
    uri: str
    content: bytes | None = None
    path: str = ""


@dataclass(frozen=True)
class Payload:
    """The objects of a submission.

    Attributes:
        script: None if the entrypoint is an object in S3.
        manifest: None if it is not beside the archive.
        extras: Files that the job needs beside the archive.
    """

    entry: Entry
    archive: Item
    script: Item | None
    manifest: Item | None
    extras: tuple[Extra, ...] = ()

    @property
    def script_uri(self) -> str:
        """Return where the entrypoint is in S3."""
        return self.script.uri if self.script else self.entry.uri

    def __iter__(self) -> Iterator[Item]:
        """Yield the objects, the archive last: if it exists in S3, so do the others."""
        yield from (Item(extra.uri, extra.content) for extra in self.extras if extra.content is not None)
        yield from (item for item in (self.manifest, self.script, self.archive) if item is not None)


def read_payload(archive: Path, entry: str, code: str) -> Payload:
    """Read the files to send.

    Args:
        archive: The local file.
        entry: The job, as find_entry takes it: "load_table".
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
    found = find_entry(entry, archive)
    manifest = read_manifest(archive, digest)
    return Payload(
        entry=found,
        archive=Item(f"{prefix}/{NAME}", content),
        script=_script(found, prefix, code.rstrip("/")),
        manifest=Item(f"{prefix}/{NAME}.json", manifest, settled=False) if manifest else None,
    )


def _script(entry: Entry, release: str, code: str) -> Item | None:
    """Return the script to upload: beside the archive that contains it, or else by its own content."""
    if entry.content is None:
        return None
    if entry.module:
        return Item(f"{release}/{entry.name}.py", entry.content)
    return Item(f"{code}/scripts/{hashlib.sha256(entry.content).hexdigest()}/{entry.name}.py", entry.content)


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
