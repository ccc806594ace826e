"""pgjobs-spark[deploy] from the wheel alone, without Spark, Java or a clone: it packs, verifies and submits."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import boto3
import pytest
from cloud import REGION, moto_server
from wheel_here import Laptop

from pgjobs.archive.manifest import beside
from pgjobs.archive.sources import own_sources

ROLE = "arn:aws:iam::123456789012:role/jobs"


@pytest.fixture(scope="module")
def packed(laptop: Laptop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that was packed from the wheel, in a folder of its own."""
    folder = tmp_path_factory.mktemp("empty")
    done = laptop.run(["pgjobs", "package", "--release", "emr-7.9.0", "--json"], folder)
    assert done.returncode == 0, done.stderr
    return folder / str(json.loads(done.stdout)["file"])


def test_the_wheel_has_all_that_packing_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {"pgjobs/archive/runtime.lock", "jobs/dbaccess/rds-global-bundle.pem", "pyspark_pgcopy/__init__.py"}
    assert needed | {f"{package}/py.typed" for package in ("jobs", "pgjobs", "servermgr")} <= names


def test_the_wheel_packs_the_bytes_that_its_clone_packs(packed: Path, tmp_path: Path) -> None:
    """Of a clone without changes; otherwise the wheel has files that git does not track yet."""
    from pgjobs.archive.build import build
    from pgjobs.archive.target import target_for

    if own_sources().left_out:
        pytest.skip("the clone has files that git does not track")
    assert build(target_for("emr-7.9.0", "x86_64"), tmp_path).read_bytes() == packed.read_bytes()


def test_what_was_packed_from_the_wheel_is_verified_against_it(laptop: Laptop, packed: Path) -> None:
    done = laptop.run(["pgjobs", "verify"], packed.parents[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert "is good for emr-7.9.0: /usr/bin/python3.9, x86_64" in done.stdout
    assert "Its jobs are those of pgjobs 0." in done.stdout
    assert "not compared" not in done.stdout.replace("sources were not compared", "")


def test_the_manifest_names_the_version_of_pgjobs(packed: Path) -> None:
    content = json.loads(beside(packed).read_text())
    listed = content["provenance"]["predicate"]["buildDefinition"]["resolvedDependencies"]
    [own] = [entry for entry in listed if entry["name"] == "pgjobs"]
    assert (
        own["annotations"]["version"]
        == content["provenance"]["predicate"]["runDetails"]["builder"]["version"]["pgjobs"]
    )
    assert own["digest"]["sha256"]


def test_a_changed_installation_packs_nothing(laptop: Laptop, tmp_path: Path) -> None:
    [module] = laptop.venv.glob("lib/python3*/site-packages/jobs/load_table.py")
    text = module.read_text()
    module.unlink()  # it may be a hard link into a cache
    module.write_text(text + "# changed\n")
    try:
        done = laptop.run(["pgjobs", "package"], tmp_path)
    finally:
        module.write_text(text)
    assert done.returncode == 2
    assert done.stderr.startswith("error: jobs/load_table.py differs from pgjobs 0.")


def test_it_submits(laptop: Laptop, packed: Path) -> None:
    with moto_server() as environ:
        session = boto3.session.Session("testing", "testing", region_name=REGION)
        client = session.client("emr-serverless", endpoint_url=environ["AWS_ENDPOINT_URL"])
        session.client("s3", endpoint_url=environ["AWS_ENDPOINT_URL"]).create_bucket(
            Bucket="wheel-code", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        application = client.create_application(name="w", type="SPARK", releaseLabel="emr-7.9.0")["applicationId"]
        words = ["pgjobs", "submit", "load_table", "--application-id", application, "--role", ROLE]
        words += ["--code", "s3://wheel-code/code", "--json", "--", "--source", "s3://data/x", "--table", "t"]
        done = laptop.run(words, packed.parents[1], environ)
        assert done.returncode == 0, done.stderr
        run = client.get_job_run(applicationId=application, jobRunId=json.loads(done.stdout)["run_id"])["jobRun"]
    assert run["jobDriver"]["sparkSubmit"]["entryPoint"].startswith("s3://wheel-code/code/releases/")
    assert run["jobDriver"]["sparkSubmit"]["entryPoint"].endswith("/load_table.py")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["load", "--source", "x", "--table", "t"], "error: pgjobs load needs pyspark, which is not installed: "),
        (
            ["run-local", "load_table", "--", "--source", "x", "--table", "t"],
            "run-local needs Spark, which is not installed: ",
        ),
        (
            ["submit", "load_tabel", "--application-id", "a", "--role", ROLE, "--code", "s3://abc"],
            "did you mean load_table?",
        ),
    ],
)
def test_what_it_cannot_do_is_told_in_a_line(laptop: Laptop, packed: Path, words: list[str], told: str) -> None:
    done = laptop.run(["pgjobs", *words], packed.parents[1])
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_help_needs_none_of_the_extras(laptop: Laptop, tmp_path: Path) -> None:
    done = laptop.run(
        ["python", "-S", "-c", _HELP, *map(str, laptop.venv.glob("lib/python3*/site-packages"))], tmp_path
    )
    assert done.returncode == 0, done.stderr


_HELP = """
import runpy, sys
sys.path.append(sys.argv.pop())
for name in ("boto3", "botocore", "uv", "elftools", "shtab", "tomli"):
    sys.modules[name] = None
sys.argv = ["pgjobs", "--help"]
runpy.run_module("pgjobs", run_name="__main__")
"""
