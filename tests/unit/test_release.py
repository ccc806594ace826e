"""The decisions of a release: its version, and that the changelog has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from release import ReleaseError, for_an_index, refuse_unwritten, version_of, with_version, without_types

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("tag", "version"), [("v0.2.0", "0.2.0"), ("v1.10.3", "1.10.3"), ("v0.3.0rc1", "0.3.0rc1")])
def test_the_version_comes_from_the_tag(tag: str, version: str) -> None:
    assert version_of(tag) == version


@pytest.mark.parametrize("tag", ["0.2.0", "v0.2", "v0.2.0-final", "main", "v0.2.0; rm"])
def test_what_is_no_tag_of_a_release_is_refused(tag: str) -> None:
    with pytest.raises(ReleaseError, match="no tag of a release"):
        version_of(tag)


def test_only_the_projects_version_is_replaced() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    changed = with_version(text, "9.8.7")
    assert 'version = "9.8.7"\n' in changed
    assert len([line for line in zip(text.splitlines(), changed.splitlines()) if line[0] != line[1]]) == 1


def test_a_version_needs_a_dated_section_with_something_in_it() -> None:
    refuse_unwritten("## Unreleased\n\n## 0.2.0 - 2026-11-21\n\n- x\n", "0.2.0")
    for changelog in (
        "## Unreleased\n\n- x\n",
        "## 0.2.0\n\n- x\n",
        "## 0.2.0 - 2026-11-21\n\n## 0.1.0 - 2026-01-01\n- x\n",
    ):
        with pytest.raises(ReleaseError, match=r"no section '## 0\.2\.0 - YYYY-MM-DD'"):
            refuse_unwritten(changelog, "0.2.0")


def test_the_changelog_has_the_version_of_pyproject() -> None:
    [version] = [line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version = ")]
    refuse_unwritten((ROOT / "CHANGELOG.md").read_text(), version.split('"')[1])


def test_an_index_shows_no_picture_or_link_that_leads_nowhere() -> None:
    text = "a `pgjobs[spark]`\n\n![demo](docs/demo.svg)\n\n([docs/load.md](docs/load.md#modes)), [pg8000](https://example.com/x)\n"
    assert for_an_index(text) == "a `pgjobs[spark]`\n\n(docs/load.md), [pg8000](https://example.com/x)\n"
    assert "](docs/" not in for_an_index((ROOT / "README.md").read_text())


def test_a_package_of_the_wheel_without_types_is_found() -> None:
    names = [
        "jobs/__init__.py",
        "jobs/py.typed",
        "jobs/cli/__init__.py",
        "pgjobs/__init__.py",
        "pgjobs-1.dist-info/RECORD",
    ]
    assert without_types(names) == ["pgjobs"]


def test_every_package_has_its_types() -> None:
    assert without_types(path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").glob("*/*")) == []


def test_the_workflow_runs_the_command_that_is_tried_here() -> None:
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert 'make release-check TAG="$GITHUB_REF_NAME"' in workflow
