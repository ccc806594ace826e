"""An archive is compared with the application before anything is sent."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from emr_runs import APPLICATION, CREATED, REGION, ROLE, Client, archive_with, console, emr, manifest_of

from pgjobs.aws import Clients
from pgjobs.cli.commands import run
from pgjobs.cli.options import parse
from pgjobs.errors import OK, DeployError
from pgjobs.submit.application import BuiltFor, misfits, read_built_for, refuse_far_buckets, refuse_misfit

MADE = BuiltFor("emr-spark-8.1.0", "x86_64", "3.11", carried=False)
IMAGE = {"imageConfiguration": {"imageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"}}
MANIFEST = {"release": MADE.release, "architecture": MADE.architecture, "python": MADE.python}


def application(**changes: object) -> dict[str, Any]:
    return {"releaseLabel": "emr-spark-8.1.0", "type": "Spark", "architecture": "X86_64", **changes}


@pytest.mark.parametrize(
    ("made", "changes"),
    [
        (MADE, {}),
        (MADE, {"architecture": None}),
        (BuiltFor("emr-spark-8.1.0", "arm64", "3.13", carried=False), {"architecture": "ARM64"}),
        (BuiltFor("emr-spark-8.1.0", "x86_64", "3.12", carried=True), {}),
        (BuiltFor("emr-spark-8.1.0", "x86_64", "3.12", carried=False), IMAGE),
        (
            BuiltFor("emr-spark-8.1.0", "x86_64", "3.12", carried=False),
            {"workerTypeSpecifications": {"Spark_Driver": IMAGE}},
        ),
        (BuiltFor("emr-9.0.0", "x86_64", "3.14", carried=False), {"releaseLabel": "emr-9.0.0"}),
    ],
)
def test_an_archive_for_the_application_fits(made: BuiltFor, changes: dict[str, Any]) -> None:
    assert list(misfits(made, application(**changes))) == []


@pytest.mark.parametrize(
    ("made", "changes", "told"),
    [
        (
            MADE,
            {"releaseLabel": "emr-7.9.0"},
            "x86_64, and the application is emr-7.9.0, x86_64: pack it by pgjobs package --release emr-7.9.0",
        ),
        (MADE, {"architecture": "ARM64"}, "--release emr-spark-8.1.0 --arch arm64."),
        (MADE, {"releaseLabel": "emr-9.0.0"}, "--release with the same Spark and Python --arch x86_64."),
        (
            BuiltFor("emr-spark-8.1.0", "x86_64", "3.12", carried=False),
            {},
            "3.11 and 3.13: pack it without --python, or include an interpreter (--self-contained).",
        ),
        (BuiltFor("emr-7.9.0", "x86_64", "3.9", carried=True), {}, "the application is emr-spark-8.1.0"),
        (MADE, {"type": "Hive"}, "The application is for Hive, and not for Spark"),
    ],
)
def test_an_archive_for_another_application_is_told_with_what_to_do(
    made: BuiltFor, changes: dict[str, Any], told: str
) -> None:
    [found] = misfits(made, application(**changes))
    assert told in found


def test_a_manifest_tells_what_an_archive_was_made_for() -> None:
    assert read_built_for(json.dumps(MANIFEST).encode()) == MADE
    assert read_built_for(json.dumps({**MANIFEST, "carried_interpreter": {}}).encode()).carried
    with pytest.raises(DeployError, match=r"manifest is missing.*run pgjobs package.*--any-application"):
        read_built_for(None)
    with pytest.raises(DeployError, match=r"manifest does not say.*run pgjobs package"):
        read_built_for(b'{"sha256": "x"}')


def test_who_may_not_ask_for_the_application_is_told_both_ways_out() -> None:
    client, stubber = emr()
    stubber.add_client_error("get_application", "AccessDeniedException", "no", 403)
    with pytest.raises(DeployError, match=r"Grant emr-serverless:GetApplication.*--any-application"):
        refuse_misfit(client, APPLICATION, json.dumps(MANIFEST).encode())


def submission(folder: Path, application_id: str, *flags: str) -> argparse.Namespace:
    """The options of a submission of an archive for emr-7.9.0, x86_64, Python 3.9."""
    archive = archive_with(folder, load_table="print('packed')")
    manifest_of(archive)
    words = ["submit", "load_table", "--archive", str(archive), "--code", "s3://code-bucket", "--role", ROLE]
    return parse([*words, "--application-id", application_id, *flags, "--", "--load-id", "1"], {})


def test_a_misfit_is_refused_before_anything_is_uploaded(tmp_path: Path, s3: Client) -> None:
    """Moto forgets an application's architecture, so its release differs here."""
    emr7 = boto3.client("emr-serverless", region_name=REGION)
    made = emr7.create_application(name="jobs", type="SPARK", releaseLabel="emr-7.13.0")["applicationId"]
    with pytest.raises(DeployError, match=r"is for emr-7\.9\.0, x86_64, and the application is emr-7\.13\.0"):
        run(submission(tmp_path, made), lambda: Clients(emr7, s3), console()[0])
    assert "Contents" not in s3.list_objects_v2(Bucket="code-bucket")
    assert run(submission(tmp_path, made, "--any-application"), lambda: Clients(emr7, s3), console()[0]) == OK


def test_the_architecture_that_aws_tells_is_compared(tmp_path: Path, s3: Client) -> None:
    """As of the real service, by its model: an answer of GetApplication in full."""
    client, stubber = emr()
    arn = f"arn:aws:emr-serverless:{REGION}:123456789012:/applications/{APPLICATION}"
    told = application(
        applicationId=APPLICATION, arn=arn, state="STARTED", createdAt=CREATED, updatedAt=CREATED,
        releaseLabel="emr-7.9.0", architecture="ARM64",
    )  # fmt: skip
    stubber.add_response("get_application", {"application": told}, {"applicationId": APPLICATION})
    with pytest.raises(DeployError, match="--arch arm64"):
        run(submission(tmp_path, APPLICATION), lambda: Clients(client, s3), console()[0])


@pytest.mark.parametrize("flag", ["--code", "--logs"])
def test_a_bucket_of_another_region_is_refused_before_anything_is_uploaded(
    tmp_path: Path, s3: Client, flag: str
) -> None:
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="far")
    runs = boto3.client("emr-serverless", region_name=REGION)
    made = runs.create_application(name="jobs", type="SPARK", releaseLabel="emr-7.9.0")["applicationId"]
    options = submission(tmp_path, made, flag, "s3://far/x")
    with pytest.raises(DeployError, match=r"The bucket far is in us-east-1, and the application in eu-west-1: give"):
        run(options, lambda: Clients(runs, s3), console()[0])
    for bucket in ("far", "code-bucket"):
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert run(submission(tmp_path, made), lambda: Clients(runs, s3), console()[0]) == OK


def test_the_region_is_read_from_a_refusal_too() -> None:
    """Whoever may not list a bucket is told its region in a header of the answer 403."""
    client = boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        told = {"HTTPHeaders": {"x-amz-bucket-region": "us-east-1"}}
        stubber.add_client_error("head_bucket", "403", http_status_code=403, response_meta=told)
        with pytest.raises(DeployError, match="is in us-east-1"):
            refuse_far_buckets(client, REGION, ["s3://far/code"])
        stubber.add_client_error("head_bucket", "404", http_status_code=404)
        refuse_far_buckets(client, REGION, ["s3://none/code"])
