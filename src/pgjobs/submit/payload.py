"""What a submission sends to S3: the archive, the entrypoint out of it, and the manifest; and under which keys.

Keys hold the archive's SHA-256, and nothing is ever overwritten: what a queued or retried run refers to stays as it
was. The entrypoint is taken out of the archive instead of the work tree, so that what runs is what was packed, and a
changed script means another archive, hence another key.
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
"""S3 takes 5 GB in one PUT. A worker has 20 GB of disk for the archive and all that comes out of it."""


@dataclass(frozen=True)
class Item:
    """One object to be.

    Attributes:
        settled: whether the key settles the content. Two commits may pack the same archive: its manifest then is the
            first one's.
    """

    uri: str
    content: bytes
    settled: bool = True


@dataclass(frozen=True)
class Payload:
    """The objects of a submission; the manifest is missing where nobody kept it beside the archive."""

    archive: Item
    script: Item
    manifest: Item | None

    def __iter__(self) -> Iterator[Item]:
        """The objects, the archive last: where it is, the others are."""
        return (item for item in (self.manifest, self.script, self.archive) if item is not None)


def read_payload(archive: Path, entry: str, code: str) -> Payload:
    """Read what is to be sent.

    Args:
        archive: the local file.
        entry: the job, "load_table".
        code: the S3 URI under which releases are kept.

    Raises:
        DeployError: there is no such archive, the job is not in it, or the manifest beside it is another one's.
    """
    split_uri(code)
    if re.search(r"[\s#,]", code):
        raise DeployError("--code must be without blanks, commas and #: they mean something in spark.archives.")
    if not archive.is_file():
        raise DeployError(f"There is no archive {archive}: run make package.")
    if archive.stat().st_size > MOST_BYTES:
        raise DeployError(f"{archive} has more than 5 GB, which S3 does not take at once, nor workers unpack.")
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
    """The entrypoint, out of the archive.

    Raises:
        DeployError: it is not in there, or the file is no archive.
    """
    try:
        with tarfile.open(archive) as opened:
            member = opened.extractfile(check_entry(entry, opened.getnames()))
            return member.read() if member else b""
    except (tarfile.TarError, EOFError) as error:
        raise DeployError(f"{archive} is no archive ({error}): run make package.") from None


def read_manifest(archive: Path, digest: str) -> bytes | None:
    """The manifest beside the archive, or None.

    Raises:
        DeployError: it describes another archive.
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
        raise DeployError(f"{path} describes another archive than {archive}: run make package again.")
    return content
