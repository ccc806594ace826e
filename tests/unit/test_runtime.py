"""What runs here beside what the archive was made for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.flows.doctor.finding import FAULT, OK, WARNING
from jobs.flows.doctor.runtime import MARKS, Archive, Runtime, archive_of, fit, here
from pgjobs.archive import project
from pgjobs.archive.releases import DEFAULT_RELEASE
from pgjobs.archive.target import target_for

ARCHIVE = Archive("emr-7.13.0", "x86_64", "3.9", "3.5.6")
RUNTIME = Runtime("3.9.25", "./environment/bin/python", "x86_64", "3.5.6-amzn-1")


@pytest.mark.parametrize(
    ("change", "state", "told"),
    [
        ({}, OK, "made for emr-7.13.0, x86_64, Python 3.9, as this is"),
        ({"spark": ""}, OK, "as this is"),
        ({"python": "3.11.2"}, FAULT, "it runs on Python 3.11 (./environment/bin/python)"),
        ({"machine": "arm64"}, FAULT, "it runs on the processor arm64"),
        ({"spark": "4.1.1"}, WARNING, "whose Spark is 3.5.6; it runs on Spark 4.1.1"),
    ],
)
def test_an_archive_is_compared_with_what_runs_it(change: dict[str, str], state: str, told: str) -> None:
    [finding] = fit(ARCHIVE, replace(RUNTIME, **change))
    assert (finding.state, told in finding.found) == (state, True)
    assert bool(finding.advice) == (state != OK)


def test_what_an_archive_was_made_for_is_read_as_it_is_packed(tmp_path: Path) -> None:
    target = target_for(DEFAULT_RELEASE, "arm64")
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    assert project.MARKS == MARKS
    project.mark(tmp_path, site, project.NO_PROJECT, target.summary())
    found = archive_of(site / "jobs" / "flows" / "doctor" / "runtime.py")
    assert found == Archive(DEFAULT_RELEASE, "arm64", target.version, "4.1.1")


@pytest.mark.parametrize("content", ["", "[]", '{"entrypoints": {}}', '{"built_for": {"release": "x"}}'])
def test_an_archive_of_another_version_tells_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / MARKS).write_text(content)
    assert archive_of(tmp_path / "jobs" / "doctor.py") is None


def test_outside_of_an_archive_there_is_none() -> None:
    assert archive_of(Path(__file__)) is None
    assert json.dumps(here().python).startswith('"3.')
