"""A small object on S3 is read without Spark, and what is missing is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import boto3
import pytest
from cloud import REGION

from jobs.aws.errors import AwsError, NotThere
from jobs.aws.s3_objects import read_object, try_reading, try_writing
from jobs.dbaccess.errors import UsageError
from jobs.flows.sql_file import read_sql

Environ = Mapping[str, str]


@pytest.fixture
def bucket(aws: Environ) -> Iterator[str]:
    """A bucket without objects."""
    place = {"LocationConstraint": aws["AWS_REGION"]}
    s3 = boto3.resource("s3", region_name=REGION)
    created = s3.create_bucket(Bucket="sql", CreateBucketConfiguration=place)
    yield "sql"
    created.objects.delete()
    created.delete()


def test_sql_is_read_from_s3(aws: Environ, bucket: str) -> None:
    body = "SELECT 'ä'".encode()
    boto3.client("s3", region_name=REGION).put_object(Bucket=bucket, Key="daily/totals.sql", Body=body)
    assert read_sql(f"s3://{bucket}/daily/totals.sql", aws) == "SELECT 'ä'"


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        ("s3://sql/none.sql", NotThere, "The object s3://sql/none.sql cannot be read: .* \\(NoSuchKey\\)"),
        ("s3://none/a.sql", NotThere, "\\(NoSuchBucket\\)"),
        ("s3://sql", UsageError, "is not an object in S3"),
        ("s3:///a.sql", UsageError, "is not an object in S3"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_an_object_that_cannot_be_read_is_named(aws: Environ, url: str, error: type[AwsError], told: str) -> None:
    with pytest.raises(error, match=told):
        read_object(url, aws)


def test_places_are_tried_by_reading_and_by_writing_without_a_trace(aws: Environ, bucket: str) -> None:
    s3 = boto3.client("s3", region_name=REGION)
    assert not try_reading(f"s3://{bucket}/orders/", aws)
    s3.put_object(Bucket=bucket, Key="orders/part", Body=b"rows")
    assert try_reading(f"s3a://{bucket}/orders/", aws)
    try_writing(f"s3://{bucket}/extracts/", aws)
    try_writing(f"s3://{bucket}", aws)
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["orders/part"]


@pytest.mark.parametrize("attempt", [try_reading, try_writing])
def test_a_place_that_is_none_and_a_bucket_that_is_not_there_are_told(
    aws: Environ, attempt: Callable[[str, Environ], object]
) -> None:
    with pytest.raises(UsageError, match="is not a place in S3"):
        attempt("/data/orders", aws)
    with pytest.raises(NotThere, match="NoSuchBucket"):
        attempt("s3://no-such-bucket/x", aws)
