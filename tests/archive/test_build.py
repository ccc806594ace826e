"""The archive for EMR Serverless: what is in it."""

from __future__ import annotations

import json
import os
import resource
import tarfile
from pathlib import Path

import pytest

from pgjobs.archive.build import build, put_in_place, refuse_hidden
from pgjobs.archive.inspection import BUDGET
from pgjobs.archive.manifest import NAME
from pgjobs.archive.project import Project
from pgjobs.archive.sources import Sources, own_sources
from pgjobs.archive.target import target_for
from pgjobs.errors import DeployError

DEFAULT = target_for("emr-spark-8.1.0", "x86_64")


@pytest.fixture
def archive(made: Path) -> Path:
    return made


def names(archive: Path) -> set[str]:
    with tarfile.open(archive) as opened:
        return set(opened.getnames())


def test_it_is_a_venv_of_the_releases_interpreter_with_the_jobs_and_their_packages(archive: Path) -> None:
    site = "lib/python3.11/site-packages"
    assert {f"{site}/jobs/load_table.py", f"{site}/pg8000/core.py", f"{site}/scramp/__init__.py"} <= names(archive)
    assert {f"{site}/jobs/dbaccess/rds-global-bundle.pem", f"{site}/pyspark_pgcopy/__init__.py"} <= names(archive)
    assert not any(
        name.startswith((f"{site}/pyspark/", f"{site}/pgjobs/", f"{site}/servermgr")) for name in names(archive)
    )
    with tarfile.open(archive) as opened:
        assert opened.getmember("bin/python").linkname == "/usr/bin/python3.11"
        config = opened.extractfile("pyvenv.cfg")
        assert config is not None
        assert b"include-system-site-packages = true" in config.read()


def test_it_is_small(archive: Path) -> None:
    assert archive.stat().st_size < BUDGET


def test_the_same_inputs_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    assert build(DEFAULT, tmp_path).read_bytes() == archive.read_bytes()


def test_the_manifest_tells_what_it_is(archive: Path) -> None:
    manifest = json.loads(archive.with_name(f"{NAME}.json").read_text())
    assert (manifest["release"], manifest["python"], manifest["architecture"]) == ("emr-spark-8.1.0", "3.11", "x86_64")
    assert manifest["bytes"] == archive.stat().st_size
    assert [package["name"] for package in manifest["packages"]] == [
        "asn1crypto",
        "pg8000",
        "python-dateutil",
        "scramp",
        "six",
    ]


@pytest.mark.parametrize("label", ["emr-7.13.0", "emr-spark-8.0.0"])
def test_each_release_gets_wheels_for_its_own_python(label: str, tmp_path: Path) -> None:
    target = target_for(label, "arm64")
    packed = names(build(target, tmp_path))
    assert f"lib/python{target.version}/site-packages/pg8000/core.py" in packed
    # Python reads TOML since 3.11. What an older one has instead is pure Python.
    assert [name for name in packed if "/tomli/" in name and name.endswith(("__init__.py", ".so"))] == (
        ["lib/python3.9/site-packages/tomli/__init__.py"] if target.version == "3.9" else []
    )


def test_requirements_that_hide_the_jobs_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    with pytest.raises(DeployError, match=r"bring a package jobs, and so does the archive: remove pgjobs there"):
        refuse_hidden(tmp_path, own_sources())
    mine = Sources(tmp_path, ("src/acme",), ())
    refuse_hidden(tmp_path, mine)
    (tmp_path / "acme").mkdir()
    with pytest.raises(DeployError, match="remove what brings acme there"):
        refuse_hidden(tmp_path, mine)


def test_a_disk_that_becomes_full_leaves_the_earlier_archive_as_it_was(tmp_path: Path) -> None:
    earlier, fresh = tmp_path / "dist" / NAME, tmp_path / NAME
    earlier.parent.mkdir()
    earlier.write_bytes(b"earlier")
    most = 8_000_000  # bytes of a file; more than anything else writes meanwhile
    fresh.write_bytes(bytes(most + 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            put_in_place([fresh], earlier.parent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in earlier.parent.iterdir()} == {NAME: b"earlier"}


def test_a_folder_that_cannot_be_written_to_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeployError, match=r"--output .*/file: .*/file is no folder\. Name a folder"):
        build(DEFAULT, tmp_path / "file")
    with pytest.raises(DeployError, match=r"--output .*/file/dist: .*/file is no folder"):
        build(DEFAULT, tmp_path / "file" / "dist")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_told_before_the_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DeployError, match="cannot be written to"):
        build(DEFAULT, tmp_path / "dist")


def test_what_holds_for_pgjobs_and_for_a_project_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "__init__.py").touch()
    monkeypatch.setenv("PATH", str(tmp_path))  # there is no git
    told: list[str] = []
    build(DEFAULT, tmp_path / "dist", tell=told.append, own=Project(tmp_path, ("acme",)))
    assert len([line for line in told if line.startswith("Packed without git")]) == 1
