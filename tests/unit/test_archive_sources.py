"""What of the project is packed: what git tracks, under a version that tells whether that is what was committed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pgjobs.archive.sources import copy_sources, describe, find_sources
from pgjobs.errors import DeployError

GIT = shutil.which("git") or "git"
FOLDERS = ("src/jobs",)
ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_AUTHOR_NAME": "x",
    "GIT_AUTHOR_EMAIL": "x",
    "GIT_COMMITTER_NAME": "x",
    "GIT_COMMITTER_EMAIL": "x",
}


def git(root: Path, *arguments: str) -> None:
    subprocess.run([GIT, "-C", str(root), *arguments], env=ENVIRON, check=True, capture_output=True)


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / "src" / "jobs" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with two modules and a list of what to ignore, committed."""
    write(tmp_path, load_dot_py="x = 1", flows__load_dot_py="y = 1", data_dot_pem="z")
    (tmp_path / ".gitignore").write_text(".env\n*.parquet\n__pycache__/\n")
    (tmp_path / "pyproject.toml").write_text('[tool.setuptools.package-data]\n"*" = ["*.pem"]\n')
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "x")
    return tmp_path


COMMITTED = ("src/jobs/data.pem", "src/jobs/flows/load.py", "src/jobs/load.py")


def test_what_is_committed_is_packed_under_its_commit(root: Path) -> None:
    found = find_sources(root, FOLDERS, ENVIRON)
    assert (found.files, found.left_out) == (COMMITTED, ())
    assert len(found.commit) == 40
    assert describe(found) == []


def test_ignored_files_stay_out_and_are_told_and_the_commit_is_clean(root: Path) -> None:
    write(root, _dot_env="PGPASSWORD=s3cret", rows_dot_parquet="PAR1", __pycache____load_dot_pyc="")
    found = find_sources(root, FOLDERS, ENVIRON)
    assert found.files == COMMITTED
    assert not found.commit.endswith("-dirty")
    assert describe(found) == ["Left out: src/jobs/.env, src/jobs/rows.parquet. To pack a file of a job, `git add` it."]


@pytest.mark.parametrize("name", ["notes_dot_txt", "new_job_dot_py"])
def test_an_untracked_file_stays_out_and_makes_the_version_dirty(root: Path, name: str) -> None:
    write(root, **{name: "x"})
    found = find_sources(root, FOLDERS, ENVIRON)
    assert found.files == COMMITTED
    assert found.commit.endswith("-dirty")
    assert "Left out: src/jobs/" in describe(found)[1]


def test_a_new_module_that_was_added_is_packed_under_a_dirty_version(root: Path) -> None:
    write(root, new_dot_py="x")
    git(root, "add", "src/jobs/new.py")
    found = find_sources(root, FOLDERS, ENVIRON)
    assert "src/jobs/new.py" in found.files
    assert found.commit.endswith("-dirty")
    assert "The work tree differs from its commit" in describe(found)[0]


def test_a_changed_or_deleted_module_makes_the_version_dirty(root: Path) -> None:
    write(root, load_dot_py="x = 2")
    (root / "src/jobs/flows/load.py").unlink()
    found = find_sources(root, FOLDERS, ENVIRON)
    assert found.files == ("src/jobs/data.pem", "src/jobs/load.py")
    assert found.commit.endswith("-dirty")
    assert found.commit.count("-dirty") == 1


def test_a_hook_of_git_packs_this_project_nevertheless(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In its hooks, git's variables name the repository and the index that it works on."""
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "--quiet")
    environ = {**ENVIRON, "GIT_DIR": str(other / ".git"), "GIT_INDEX_FILE": str(other / "index")}
    assert find_sources(root, FOLDERS, environ) == find_sources(root, FOLDERS, ENVIRON)


def test_without_git_what_pyproject_says_is_packed(root: Path) -> None:
    write(root, _dot_env="PGPASSWORD=s3cret", rows_dot_parquet="PAR1")
    shutil.rmtree(root / ".git")
    found = find_sources(root, FOLDERS, {**ENVIRON, "GIT_CEILING_DIRECTORIES": str(root.parent)})
    assert (found.files, found.commit) == (COMMITTED, "")
    first, second = describe(found)
    assert "Packed without git (fatal: not a git repository" in first
    assert (
        second == "Left out: src/jobs/.env, src/jobs/rows.parquet. To pack a file of a job, declare it as package-data."
    )


def test_a_machine_without_git_is_told(root: Path) -> None:
    found = find_sources(root, FOLDERS, {"PATH": "/nonexistent"})
    assert found.files == COMMITTED
    assert "Packed without git (git: No such file or directory)" in describe(found)[0]


def test_a_folder_of_another_repository_that_does_not_track_it_is_packed_as_without_git(root: Path) -> None:
    git(root, "rm", "-r", "--quiet", "--cached", "src")
    found = find_sources(root, FOLDERS, ENVIRON)
    assert found.files == COMMITTED
    assert found.reason == "git tracks none of it"


def test_nothing_to_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="There is nothing to pack in src/jobs below"):
        find_sources(tmp_path, FOLDERS, ENVIRON)


def test_packages_lie_side_by_side_in_the_archive(root: Path, tmp_path: Path) -> None:
    copy_sources(find_sources(root, FOLDERS, ENVIRON), tmp_path / "site")
    assert (tmp_path / "site" / "jobs" / "flows" / "load.py").read_text() == "y = 1"
