"""What goes to S3: content-addressed, written once, checked by S3 itself, and never overwritten."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import boto3
import pytest
from botocore.stub import ANY, Stubber
from emr_runs import Client, archive_with, manifest_of

from pgjobs.errors import AwsError, DeployError
from pgjobs.submit.payload import Item, read_payload
from pgjobs.submit.upload import checksum, upload

ITEM = Item("s3://code-bucket/code/releases/abc/x.tar.gz", b"the archive")


def test_keys_hold_the_archives_hash_and_the_script_is_the_packed_one(tmp_path: Path) -> None:
    archive = archive_with(tmp_path, load_table="print('packed')")
    manifest_of(archive)
    payload = read_payload(archive, "load_table", "s3://code-bucket/code/")
    digest = sha256(archive.read_bytes()).hexdigest()
    assert [item.uri for item in payload] == [
        f"s3://code-bucket/code/releases/{digest}/pyspark_venv.tar.gz.json",
        f"s3://code-bucket/code/releases/{digest}/load_table.py",
        f"s3://code-bucket/code/releases/{digest}/pyspark_venv.tar.gz",
    ]
    assert payload.entry.content == b"print('packed')"


def test_another_script_is_another_key(tmp_path: Path) -> None:
    first = read_payload(archive_with(tmp_path, load_table="1"), "load_table", "s3://code-bucket")
    second = read_payload(archive_with(tmp_path, load_table="2"), "load_table", "s3://code-bucket")
    assert first.script_uri != second.script_uri


def test_a_file_outside_of_the_archive_is_sent_under_its_own_hash(tmp_path: Path) -> None:
    archive = archive_with(tmp_path, load_table="1")
    job = tmp_path / "nightly-totals.py"
    job.write_text("print(1)")
    payload = read_payload(archive, str(job), "s3://code-bucket/code/")
    assert payload.script_uri == f"s3://code-bucket/code/scripts/{sha256(b'print(1)').hexdigest()}/nightly-totals.py"
    assert (payload.entry.name, payload.entry.own) == ("nightly-totals", "")


def test_an_object_in_s3_is_sent_nowhere(tmp_path: Path) -> None:
    payload = read_payload(archive_with(tmp_path, load_table="1"), "s3://mine/jobs/report.py", "s3://code-bucket")
    assert (payload.script, payload.script_uri, payload.entry.name) == (None, "s3://mine/jobs/report.py", "report")
    assert [item.uri.rpartition("/")[2] for item in payload] == ["pyspark_venv.tar.gz"]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("load_tabel", "no job 'load_tabel': did you mean load_table?"),
        ("jobs.load_tabel", "did you mean jobs.load_table?"),
        ("none.py", "There is no file none.py."),
        ("s3://mine/report.jar", "its name must end in .py"),
    ],
)
def test_a_mistyped_job_is_told_with_what_may_be_meant(tmp_path: Path, entry: str, told: str) -> None:
    with pytest.raises(DeployError) as caught:
        read_payload(archive_with(tmp_path, load_table="1"), entry, "s3://code-bucket")
    assert told in str(caught.value)


def test_what_is_no_archive_or_another_ones_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="run pgjobs package"):
        read_payload(tmp_path / "none.tar.gz", "load_table", "s3://code-bucket")
    (tmp_path / "junk.tar.gz").write_bytes(b"junk")
    with pytest.raises(DeployError, match="is not an archive"):
        read_payload(tmp_path / "junk.tar.gz", "load_table", "s3://code-bucket")
    archive = archive_with(tmp_path, load_table="1")
    with pytest.raises(DeployError, match="no job 'extract'; it has load_table"):
        read_payload(archive, "extract", "s3://code-bucket")
    manifest_of(archive, "another")
    with pytest.raises(DeployError, match="is the manifest of another archive"):
        read_payload(archive, "load_table", "s3://code-bucket")


@pytest.mark.parametrize("uri", ["code", "s3:/code", "https://bucket/x", "s3://B/x", "s3://"])
def test_what_is_no_s3_uri_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="is not an S3 URI: write s3://bucket/prefix"):
        read_payload(archive_with(tmp_path, load_table="1"), "load_table", uri)


@pytest.mark.parametrize("uri", ["s3://bucket/a b", "s3://bucket/a#b", "s3://bucket/a,b"])
def test_a_prefix_that_spark_would_read_otherwise_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="--code must not contain blanks, commas or #"):
        read_payload(archive_with(tmp_path, load_table="1"), "load_table", uri)


def test_what_is_there_is_not_sent_again(s3: Client) -> None:
    told: list[str] = []
    upload(s3, ITEM, told.append)
    first = s3.head_object(Bucket="code-bucket", Key="code/releases/abc/x.tar.gz", ChecksumMode="ENABLED")
    upload(s3, ITEM, told.append)
    assert [line.split("  ")[0] for line in told] == ["uploaded", "there already"]
    assert first["ChecksumSHA256"] == checksum(ITEM.content)


@pytest.mark.parametrize("other", [b"something else", b"the Archive"])
def test_something_else_under_the_key_is_an_error_and_stays(s3: Client, other: bytes) -> None:
    place = {"Bucket": "code-bucket", "Key": "code/releases/abc/x.tar.gz"}
    s3.put_object(**place, Body=other, ChecksumAlgorithm="SHA256")
    with pytest.raises(DeployError, match="already contains something else"):
        upload(s3, ITEM, print)
    assert s3.get_object(**place)["Body"].read() == other


def test_the_first_ones_manifest_stays(s3: Client) -> None:
    place = {"Bucket": "code-bucket", "Key": "m.json"}
    s3.put_object(**place, Body=b"first")
    upload(s3, Item("s3://code-bucket/m.json", b"second one", settled=False), print)
    assert s3.get_object(**place)["Body"].read() == b"first"


def stubbed() -> tuple[Client, Stubber]:
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    stubber.activate()
    return client, stubber


PLACE = {"Bucket": "code-bucket", "Key": "code/releases/abc/x.tar.gz"}
SUM = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": checksum(ITEM.content)}
PUT = {**PLACE, "Body": ANY, "IfNoneMatch": "*", **SUM}


def test_who_loses_the_race_keeps_the_winners_object() -> None:
    client, stubber = stubbed()
    stubber.add_client_error("head_object", "404", http_status_code=404)
    stubber.add_client_error("put_object", "PreconditionFailed", http_status_code=412, expected_params=PUT)
    stubber.add_response("head_object", {"ContentLength": 11, "ChecksumSHA256": checksum(ITEM.content)})
    told: list[str] = []
    upload(client, ITEM, told.append)
    assert told == [f"there already  {ITEM.uri}"]
    stubber.assert_no_pending_responses()


def test_who_may_not_look_still_writes_once() -> None:
    client, stubber = stubbed()
    stubber.add_client_error("head_object", "403", http_status_code=403)
    stubber.add_response("put_object", {}, PUT)
    upload(client, ITEM, print)
    stubber.assert_no_pending_responses()


def test_who_may_not_write_is_told_the_permission() -> None:
    client, stubber = stubbed()
    stubber.add_client_error("head_object", "404", http_status_code=404)
    stubber.add_client_error("put_object", "AccessDenied", "Access Denied", 403)
    with pytest.raises(AwsError, match=r"AWS refuses PutObject: Access Denied\. Grant s3:PutObject\."):
        upload(client, ITEM, print)
