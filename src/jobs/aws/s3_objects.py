"""Small objects on S3, such as a file with SQL, read without Spark."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from jobs.aws.clients import client, find_region
from jobs.aws.errors import AwsRequest, aws_errors_translated
from jobs.errors import UsageError


def read_object(url: str, environ: Mapping[str, str]) -> bytes:
    """Return the content of an object.

    Args:
        url: s3://bucket/key.
        environ: The environment, for the region.

    Raises:
        UsageError: The URL has no key, or nothing states a region.
        AwsError: The object cannot be read.
    """
    bucket, _, key = url.partition("://")[2].partition("/")
    if not bucket or not key:
        raise UsageError(f"{url!r} is not an object in S3.", "Write s3://bucket/key.")
    region = find_region("", environ)
    with aws_errors_translated(AwsRequest(f"The object {url} cannot be read", "s3", "s3:GetObject", region)):
        content: bytes = client("s3", region).get_object(Bucket=bucket, Key=key)["Body"].read()
        return content


def try_reading(url: str, environ: Mapping[str, str]) -> bool:
    """List what is below a URL, and read a byte of the first object. Returns whether there is one.

    Raises:
        UsageError: The URL has no bucket, or nothing states a region.
        AwsError: AWS refuses one of the calls, or does not answer.
    """
    bucket, prefix = _place(url)
    region = find_region("", environ)
    with aws_errors_translated(AwsRequest(f"{url} cannot be listed", "s3", "s3:ListBucket", region)):
        listed = client("s3", region).list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=10)
    keys = [entry["Key"] for entry in listed.get("Contents", []) if entry["Size"]]
    if not keys:
        return False
    with aws_errors_translated(AwsRequest(f"s3://{bucket}/{keys[0]} cannot be read", "s3", "s3:GetObject", region)):
        client("s3", region).get_object(Bucket=bucket, Key=keys[0], Range="bytes=0-0")["Body"].read()
    return True


def try_writing(url: str, environ: Mapping[str, str]) -> None:
    """Write a small object of a new name below a URL, and delete it.

    Raises:
        UsageError: The URL has no bucket, or nothing states a region.
        AwsError: AWS refuses one of the calls, or does not answer.
    """
    bucket, prefix = _place(url)
    region = find_region("", environ)
    key = f"{prefix.rstrip('/')}/pgjobs-doctor-{uuid4().hex}".lstrip("/")
    with aws_errors_translated(AwsRequest(f"{url} cannot be written to", "s3", "s3:PutObject", region)):
        client("s3", region).put_object(Bucket=bucket, Key=key, Body=b"")
    with aws_errors_translated(AwsRequest(f"s3://{bucket}/{key} cannot be deleted", "s3", "s3:DeleteObject", region)):
        client("s3", region).delete_object(Bucket=bucket, Key=key)


def _place(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix of a URL: s3://, s3a:// or s3n://."""
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme not in ("s3", "s3a", "s3n") or not bucket:
        raise UsageError(f"{url!r} is not a place in S3.", "Write s3://bucket/prefix.")
    return bucket, prefix
