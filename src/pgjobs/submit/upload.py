"""Uploads to keys that are written once: an existing object is compared and kept, and never overwritten."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from botocore.exceptions import ClientError

from pgjobs.aws import Objects, aws_errors, code_of, split_uri
from pgjobs.errors import DeployError
from pgjobs.submit.payload import Item

_MISSING = ("404", "NoSuchKey", "NotFound")
_NOT_TOLD = ("403", "AccessDenied", "400")  # 400: a HEAD whose credentials have expired; the PUT says so
_LOST_RACE = ("PreconditionFailed", "412")
_RACING = ("ConditionalRequestConflict", "409")
"""Something else happens to the key, and has not ended. PutObject's reference: "On a 409 failure, retry the upload"."""
_TRIES = 3


def upload(objects: Objects, item: Item, tell: Callable[[str], None]) -> None:
    """Make sure that an object exists with its content.

    Args:
        objects: The S3 client.
        item: The object.
        tell: Is called with a line about what was done.

    Raises:
        DeployError: Another object exists there, or S3 refuses the call.
    """
    with aws_errors():
        if _is_there(objects, item) or not _put(objects, item):
            tell(f"there already  {item.uri}")
        else:
            tell(f"uploaded       {item.uri}  {len(item.content):,} bytes")


def _is_there(objects: Objects, item: Item) -> bool:
    """Return whether the object exists.

    Raises:
        DeployError: It exists with another content.
    """
    bucket, key = split_uri(item.uri)
    try:
        head = objects.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        # Without s3:ListBucket, S3 does not distinguish missing from forbidden. The PUT shows it.
        if code_of(error) in (*_MISSING, *_NOT_TOLD):
            return False
        raise
    same_size = head["ContentLength"] == len(item.content)
    same = same_size and head.get("ChecksumSHA256", checksum(item.content)) == checksum(item.content)
    if item.settled and not same:
        raise DeployError(f"{item.uri} already contains something else. Give another --code.")
    return True


def _put(objects: Objects, item: Item) -> bool:
    """Write the object. Returns False if another process has written it meanwhile.

    Raises:
        DeployError: Another process has written another content.
    """
    bucket, key = split_uri(item.uri)
    for rest in reversed(range(_TRIES)):
        try:
            objects.put_object(
                Bucket=bucket,
                Key=key,
                Body=item.content,
                IfNoneMatch="*",
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum(item.content),
            )
        except ClientError as error:
            if code_of(error) in _RACING and rest:
                continue
            if code_of(error) not in _LOST_RACE:
                raise
            _is_there(objects, item)
            return False
        break
    return True


def checksum(content: bytes) -> str:
    """Return the SHA-256 in S3's notation."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
