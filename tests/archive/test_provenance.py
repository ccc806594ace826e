"""Where an archive comes from: what its manifest says of that, and what is refused where it is not so."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pgjobs.__main__ import command
from pgjobs.archive.build import LOCK, build
from pgjobs.archive.manifest import beside
from pgjobs.archive.packages.wheels import hashes
from pgjobs.archive.provenance import dependencies
from pgjobs.archive.sources import own_sources
from pgjobs.archive.tarball import pack, unpack
from pgjobs.archive.target import target_for
from pgjobs.checks.verification import compare

Described = dict[str, Any]
SITE = "lib/python3.11/site-packages"
OWN = own_sources()
ROOT, OURS = OWN.root, OWN.folders


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    """A copy to be tampered with, and its manifest."""
    copied = tmp_path / made.name
    shutil.copy2(made, copied)
    shutil.copy2(beside(made), beside(copied))
    return copied


def described(archive: Path) -> Described:
    content: Described = json.loads(beside(archive).read_text())
    return content


def rewrite(archive: Path, change: Callable[[Described], object]) -> None:
    """Change the manifest."""
    content = described(archive)
    change(content)
    beside(archive).write_text(json.dumps(content))


def faults(archive: Path, root: Path = ROOT) -> list[str]:
    return [str(finding) for finding in compare(archive, root, OURS, OWN).findings]


def materials(content: Described) -> dict[str, Described]:
    return {str(entry["name"]): dict(entry) for entry in dependencies(content["provenance"])}


def test_the_manifest_names_source_lock_and_wheels_by_hash_and_its_builder(made: Path) -> None:
    content = described(made)
    statement = content["provenance"]
    assert statement["subject"] == [{"name": made.name, "digest": {"sha256": sha256(made.read_bytes()).hexdigest()}}]
    found = materials(content)
    assert found["pgjobs/runtime.lock"]["digest"]["sha256"] == sha256(LOCK.read_bytes()).hexdigest()
    pinned = hashes(LOCK.read_text())
    wheels = {name: entry for name, entry in found.items() if name.endswith(".whl")}
    assert len(wheels) == len(content["packages"])
    for package in content["packages"]:
        url = f"pkg:pypi/{package['name']}@{package['version']}"
        [digest] = [entry["digest"]["sha256"] for entry in wheels.values() if entry["uri"] == url]
        assert digest in pinned[f"{package['name']}=={package['version']}"]
    assert set(statement["predicate"]["runDetails"]["builder"]["version"]) == {"pgjobs", "python", "uv"}


def test_the_commit_is_told_and_whether_the_work_tree_was_clean(made: Path) -> None:
    content = described(made)
    source = materials(content)["source"]
    assert content["git_commit"].removesuffix("-dirty") == source["digest"]["gitCommit"]
    assert source["annotations"] == {"clean": not content["git_commit"].endswith("-dirty")}


def test_the_same_inputs_give_the_same_manifest(made: Path, tmp_path: Path) -> None:
    again = build(target_for("emr-spark-8.1.0", "x86_64"), tmp_path)
    assert beside(again).read_bytes() == beside(made).read_bytes()
    assert str(tmp_path) not in beside(again).read_text()


def test_what_comes_from_where_it_says_passes(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults(archive) == []
    assert command(["verify", str(archive)]) == 0
    assert "sources" in capsys.readouterr().out


def test_an_archive_without_a_manifest_is_told(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside(archive).unlink()
    assert command(["verify", str(archive)]) == 0
    assert "the origin of the archive was not checked" in capsys.readouterr().out


def change_wheel(content: Described) -> None:
    for entry in dependencies(content["provenance"]):
        if str(entry["name"]).startswith("pg8000-"):
            entry["digest"]["sha256"] = "0" * 64  # type: ignore[index] # it is JSON, of which no type is known


def change_lock(content: Described) -> None:
    for entry in dependencies(content["provenance"]):
        if str(entry["name"]).endswith("runtime.lock"):
            entry["digest"]["sha256"] = "0" * 64  # type: ignore[index] # it is JSON, of which no type is known


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda content: content.update(sha256="0" * 64), "describes another archive"),
        (lambda content: content["provenance"].update(subject=[]), "its provenance is another archive's"),
        (lambda content: content["packages"].pop(), "six: version 1.17.0 differs from the manifest"),
        (lambda content: content["packages"].append({"name": "more"}), "more: is in the manifest, and not in"),
        (change_wheel, "has another hash than the lock files pin"),
        (lambda content: content.clear(), "is no manifest"),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused(
    archive: Path, change: Callable[[Described], object], fault: str
) -> None:
    rewrite(archive, change)
    assert [found for found in faults(archive) if fault in found]


def test_verify_fails_by_what_is_refused(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(archive, change_wheel)
    assert command(["verify", str(archive)]) == 1
    assert "has another hash than the lock files pin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (f"{SITE}/pg8000/core.py", "pg8000/core.py: differs from the file in its package"),
        (f"{SITE}/planted.pth", "planted.pth: belongs to no package"),
    ],
)
def test_a_file_of_a_package_that_was_changed_or_added_is_found_also_by_a_manifest_made_to_fit(
    archive: Path, tmp_path: Path, name: str, fault: str
) -> None:
    tree = tmp_path / "tree"
    unpack(archive, tree)
    with (tree / name).open("a") as file:
        file.write("import os\n")
    pack(tree, archive)
    digest = sha256(archive.read_bytes()).hexdigest()
    rewrite(archive, lambda content: content.update(sha256=digest))
    rewrite(archive, lambda content: content["provenance"]["subject"][0]["digest"].update(sha256=digest))
    assert faults(archive) == [fault]


def git(root: Path, *words: str) -> str:
    command = [
        "git",
        "-C",
        str(root),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "-c",
        "commit.gpgsign=false",
        *words,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(archive: Path, tmp_path: Path) -> Path:
    """A repository whose one commit has what the archive has, and the lock."""
    unpack(archive, tmp_path / "tree")
    root = tmp_path / "clone"
    for folder in OURS:
        shutil.copytree(tmp_path / "tree" / SITE / Path(folder).name, root / folder)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")
    return root


def source_is(commit: str, clean: bool) -> Callable[[Described], object]:
    def change(content: Described) -> None:
        listed = content["provenance"]["predicate"]["buildDefinition"]["resolvedDependencies"]
        listed[:] = [entry for entry in listed if entry["name"] != "source"]
        listed.append({"name": "source", "digest": {"gitCommit": commit}, "annotations": {"clean": clean}})

    return change


def test_the_projects_own_files_are_compared_with_the_commit(archive: Path, clone: Path) -> None:
    commit = git(clone, "rev-parse", "HEAD")
    rewrite(archive, source_is(commit, clean=True))
    compared = compare(archive, clone, OURS, OWN)
    assert compared.findings == []
    assert [line for line in compared.notes if line.startswith(f"Its sources were compared with {commit}: ")]
    (clone / "src/jobs/errors/__init__.py").write_text("other = 1\n")
    git(clone, "commit", "-qam", "another")
    other = git(clone, "rev-parse", "HEAD")
    rewrite(archive, source_is(other, clean=True))
    assert faults(archive, clone) == [f"src/jobs/errors/__init__.py: differs from {other}"]


def test_packages_from_elsewhere_belong_to_the_project(archive: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    unpack(archive, tree)
    (tree / SITE / "acme_common").mkdir()
    (tree / SITE / "acme_common" / "__init__.py").write_text("")
    pack(tree, archive)
    stray = "acme_common/__init__.py: belongs to no package"
    assert stray in faults(archive)
    elsewhere = compare(archive, ROOT, OURS, OWN, others=["acme_common"])
    assert stray not in [str(finding) for finding in elsewhere.findings]


@pytest.mark.parametrize(
    ("commit", "clean", "told"),
    [
        ("0" * 40, True, f"There is no commit {'0' * 40} here"),
        ("1" * 40, False, f"Its work tree differed from {'1' * 40}"),
        ("--help", True, "It was packed without git"),
    ],
)
def test_what_cannot_be_compared_is_told(archive: Path, commit: str, clean: bool, told: str) -> None:
    rewrite(archive, source_is(commit, clean=clean))
    assert [line for line in compare(archive, ROOT, OURS, OWN).notes if told in line]


def test_wheels_are_not_compared_with_another_lock(archive: Path) -> None:
    rewrite(archive, change_wheel)
    rewrite(archive, change_lock)
    compared = compare(archive, ROOT, OURS, OWN)
    assert compared.findings == []
    assert [line for line in compared.notes if line.startswith("pgjobs/runtime.lock is missing or has changed")]
