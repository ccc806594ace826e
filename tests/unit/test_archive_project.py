"""A project of one's own: what [tool.pgjobs] says of it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgjobs.archive.project import MARKS, NO_PROJECT, Project, mark, read_project
from pgjobs.errors import DeployError


def configured(folder: Path, table: str) -> Project:
    (folder / "pyproject.toml").write_text(f"[tool.pgjobs]\n{table}\n[tool.pgjobs.deploy]\nrole = 'x'\n")
    return read_project(folder)


def package(folder: Path, *modules: str) -> None:
    folder.mkdir(parents=True)
    for module in ("__init__", *modules):
        (folder / f"{module}.py").write_text("")


def test_no_configuration_adds_nothing(tmp_path: Path) -> None:
    assert read_project(tmp_path).packages == ()
    assert configured(tmp_path, "").sources() == []


def test_packages_may_be_anywhere(tmp_path: Path) -> None:
    package(tmp_path / "mine" / "src" / "acme_jobs", "nightly")
    package(tmp_path / "shared" / "acme_common")
    own = configured(tmp_path / "mine", 'packages = ["src/acme_jobs", "../shared/acme_common"]')
    assert own.names == ("acme_jobs", "acme_common")
    packed = [name for found in own.sources() for name in found.targets]
    assert packed == ["acme_jobs/__init__.py", "acme_jobs/nightly.py", "acme_common/__init__.py"]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('package = ["x"]', r"unknown package\. Known: packages, entrypoints"),
        ('packages = "x"', "packages must be a list of texts"),
        ("packages = [1]", "packages must be a list of texts"),
        ('entrypoints = ["x"]', "entrypoints must be a table"),
        ('packages = ["src/jobs"]', "jobs is a name that pgjobs needs itself: rename the package"),
        ('packages = ["a/x", "b/x"]', "two packages are named x"),
        (
            'entrypoints = { nightly = "nightly.py" }',
            r"the entrypoint nightly must be a module, such as acme_jobs\.nightly",
        ),
        ('entrypoints = { load_table = "acme.load" }', "load_table is a job of pgjobs: choose another name"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, table: str, told: str) -> None:
    with pytest.raises(DeployError, match=told):
        configured(tmp_path, table)


def test_a_folder_that_is_no_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"src/acme is not a package: it has no __init__\.py"):
        configured(tmp_path, 'packages = ["src/acme"]').sources()


def test_the_archive_lists_its_entrypoints_with_those_of_pgjobs(tmp_path: Path) -> None:
    package(tmp_path / "site" / "jobs", "load_table")
    package(tmp_path / "site" / "acme", "nightly")
    built_for = {"release": "emr-7.13.0", "python": "3.9"}
    mark(tmp_path, tmp_path / "site", Project(entrypoints={"nightly": "acme.nightly"}), built_for)
    assert json.loads((tmp_path / MARKS).read_text()) == {
        "entrypoints": {"load_table": "jobs.load_table", "nightly": "acme.nightly"},
        "built_for": built_for,
    }
    mark(tmp_path, tmp_path / "site", NO_PROJECT, built_for)
    assert "nightly" not in (tmp_path / MARKS).read_text()


def test_an_entrypoint_without_a_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"entrypoint nightly is acme\.nightly, and there is no acme/nightly\.py"):
        mark(tmp_path, tmp_path, Project(entrypoints={"nightly": "acme.nightly"}), {})
