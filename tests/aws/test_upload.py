"""What goes to S3: content-addressed, written once, checked by S3 itself, and never overwritten."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import boto3
import pytest
from botocore.stub import ANY, Stubber
from emr_runs import Client, archive_with, manifest_of

from pgjobs.archive.project import MARKS, OF_PYTHON
from pgjobs.archive.tarball import pack
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


SITE = "lib/python3.11/site-packages"
AS_SCRIPT = {
    "shop/calendar.py": b"print(1)",
    "shop/weekly.py": b"import sys\nfrom .common import totals\n",
    "shop/late.py": b"if __package__:\n    from .common import totals\n",
}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("shop", r"Python would import shop\.py in place of the module shop\. Give the entrypoint another name\."),
        ("jobs.py", r"Python would import jobs\.py in place of the module jobs\. Give the file another name\."),
        ("s3://mine/pg8000.py", r"in place of the module pg8000\."),
        ("my job.py", "allows neither blanks nor # in a script's name: give the file another one"),
        ("shop.weekly", r"Line 2 has a relative import, .* in: from shop import"),
    ],
)
def test_what_would_fail_as_a_script_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("jobs.py", "my job.py"):
        Path(name).write_text("print(1)")
    archive = archive_of({"shop": "shop.calendar"}, {**AS_SCRIPT, "pg8000/__init__.py": b""})
    with pytest.raises(DeployError, match=f"{entry} cannot run as a script. .*{told}"):
        read_payload(archive, entry, "s3://code-bucket")
    for harmless in ("shop.calendar", "shop.late"):
        assert read_payload(archive, harmless, "s3://code-bucket").entry.module == harmless


@pytest.mark.skipif(not OF_PYTHON, reason="Python 3.9 does not know its modules")
def test_an_entrypoint_that_hides_a_module_of_python_is_told(tmp_path: Path) -> None:
    archive = archive_of({"calendar": "shop.calendar"}, AS_SCRIPT, tmp_path)
    with pytest.raises(DeployError, match=r"Python would import calendar\.py in place of the module calendar\."):
        read_payload(archive, "calendar", "s3://code-bucket")


def archive_of(entrypoints: dict[str, str], modules: dict[str, bytes], folder: Path = Path()) -> Path:
    """An archive of these modules."""
    tree = folder / "tree"
    for name, content in {"jobs/load_table.py": b"", **modules}.items():
        file = tree / SITE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (tree / MARKS).write_text(json.dumps({"entrypoints": entrypoints}))
    pack(tree, folder / "packed.tar.gz")
    return folder / "packed.tar.gz"


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


def test_who_meets_another_upload_that_has_not_ended_tries_again() -> None:
    """The other one may fail: then the object would be missing, and the run would not find it."""
    client, stubber = stubbed()
    stubber.add_client_error("head_object", "404", http_status_code=404)
    stubber.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409, expected_params=PUT)
    stubber.add_response("put_object", {}, PUT)
    told: list[str] = []
    upload(client, ITEM, told.append)
    assert told == [f"uploaded       {ITEM.uri}  11 bytes"]
    stubber.assert_no_pending_responses()


def test_credentials_that_have_expired_are_told_by_the_upload_itself() -> None:
    client, stubber = stubbed()
    stubber.add_client_error("head_object", "400", "Bad Request", 400)  # the answer to a HEAD has no body
    stubber.add_client_error("put_object", "ExpiredToken", "The provided token has expired.", 400)
    with pytest.raises(AwsError, match="The AWS credentials have expired"):
        upload(client, ITEM, print)


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
