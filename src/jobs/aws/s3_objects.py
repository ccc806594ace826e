"""Small objects on S3, such as a file with SQL, read without Spark."""

from __future__ import annotations

from collections.abc import Mapping

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
        raise UsageError(f"{url!r} is no object of S3.", "Write s3://bucket/key.")
    region = find_region("", environ)
    with aws_errors_translated(AwsRequest(f"The object {url} cannot be read", "s3", "s3:GetObject", region)):
        content: bytes = client("s3", region).get_object(Bucket=bucket, Key=key)["Body"].read()
        return content
