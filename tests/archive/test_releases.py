"""The releases that archives are packed for."""

from __future__ import annotations

import pytest

from pgjobs.__main__ import command
from pgjobs.archive.releases import RELEASES, find_release


def test_unknown_releases_are_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["package", "--release", "emr-1.0.0"]) == 2
    assert "Known: emr-spark-8.1.0, emr-spark-8.0.0, emr-7.14.0" in capsys.readouterr().err


def test_the_table_of_releases_is_complete() -> None:
    assert {find_release(label).label for label in RELEASES} == set(RELEASES)
    assert find_release("emr-7.0.0").pythons == ("3.9",)
    assert find_release("emr-spark-8.1.0").python == "/usr/bin/python3.11"
