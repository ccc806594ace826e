"""Compares a submission with the application that is to run it: release, architecture, Python; the buckets' regions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from pgjobs.archive.releases import RELEASES
from pgjobs.aws import JobRuns, Objects, aws_errors, split_uri
from pgjobs.errors import AwsError, DeployError
from pgjobs.runs.run import region_of

_DEFAULT_ARCHITECTURE = "X86_64"
"""The architecture of an application that names none (the API's reference, CreateApplication)."""

_WAY_OUT = "--any-application skips this check."


@dataclass(frozen=True)
class BuiltFor:
    """What an archive was built for, by its manifest.

    Attributes:
        python: The minor version of its interpreter, "3.11".
        carried: Whether the archive contains that interpreter.
    """

    release: str
    architecture: str
    python: str
    carried: bool


def read_built_for(manifest: bytes | None) -> BuiltFor:
    """Return what an archive was built for.

    Raises:
        DeployError: There is no manifest, or it does not contain this.
    """
    try:
        content = json.loads(manifest or b"{}")
        return BuiltFor(
            content["release"], content["architecture"], content["python"], "carried_interpreter" in content
        )
    except (ValueError, KeyError, TypeError):
        what = "does not say" if manifest else "is missing, so it is not known"
        raise DeployError(
            f"The archive's manifest {what} for which release it was made: run pgjobs package. {_WAY_OUT}"
        ) from None


def refuse_misfit(runs: JobRuns, application_id: str, manifest: bytes | None) -> str:
    """Read the application, and refuse an archive that was built for another one.

    Returns:
        The application's region; empty if its ARN does not say.

    Raises:
        AwsError: AWS refuses the call, or does not answer.
        DeployError: The archive is for another release, architecture or Python, or its manifest does not say.
    """
    built_for = read_built_for(manifest)
    try:
        with aws_errors():
            application = runs.get_application(applicationId=application_id)["application"]
    except AwsError as error:
        denied = "GetApplication" in str(error) and "Grant" in str(error)
        raise type(error)(f"{error}{f' {_WAY_OUT}' if denied else ''}") from None
    problems = list(misfits(built_for, application))
    if problems:
        raise DeployError(" ".join([*problems, _WAY_OUT]))
    return region_of(str(application.get("arn", "")))


def refuse_far_buckets(objects: Objects, region: str, uris: Iterable[str]) -> None:
    """Refuse buckets of another region than the application's: the run would fail when it starts.

    Args:
        objects: The S3 client, which uploads into any region.
        region: The application's.
        uris: What the run reads its code from, and writes its logs to.

    Raises:
        AwsError: AWS does not answer.
        DeployError: A bucket is in another region.
    """
    for bucket in sorted({split_uri(uri)[0] for uri in uris}):
        with aws_errors():
            there = _region_of_bucket(objects, bucket)
        if there not in ("", region):
            raise DeployError(
                f"The bucket {bucket} is in {there}, and the application in {region}: give --code and --logs in "
                f"buckets of {region}. {_WAY_OUT}"
            )


def _region_of_bucket(objects: Objects, bucket: str) -> str:
    """Return a bucket's region; empty if S3 does not tell, as for a bucket that does not exist.

    It tells also those who may not list the bucket.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    try:
        answer = objects.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    return str(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", ""))


def misfits(built_for: BuiltFor, application: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each way in which an archive does not fit an application, with what to do."""
    kind, release = str(application.get("type", "Spark")), str(application["releaseLabel"])
    if kind.lower() != "spark":
        yield f"The application is for {kind}, and not for Spark: give another --application-id."
    architecture = str(application.get("architecture") or _DEFAULT_ARCHITECTURE).lower()
    release_differs, architecture_differs = built_for.release != release, built_for.architecture != architecture
    if release_differs or architecture_differs:
        flags = f"--release {release}" if release in RELEASES else "--release with the same Spark and Python"
        yield (
            f"The archive is for {built_for.release}, {built_for.architecture}, and the application is {release}, "
            f"{architecture}: pack it by pgjobs package {flags} --arch {architecture}."
        )
    elif not built_for.carried and not _has_own_image(application) and release in RELEASES:
        pythons = RELEASES[release].pythons
        if built_for.python not in pythons:
            yield (
                f"The archive is for Python {built_for.python}, and the application's image, that of {release}, has "
                f"{' and '.join(pythons)}: pack it without --python, or include an interpreter (--self-contained)."
            )


def _has_own_image(application: Mapping[str, Any]) -> bool:
    """Return whether the application has a custom image for any worker. Such an image may have other Pythons."""
    workers = application.get("workerTypeSpecifications") or {}
    images = [application.get("imageConfiguration"), *(worker.get("imageConfiguration") for worker in workers.values())]
    return any((image or {}).get("imageUri") for image in images)
