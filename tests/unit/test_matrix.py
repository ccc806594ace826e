"""What `make matrix` tries, and how its table is kept."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from matrix import environments, junit, plan, servers, table
from matrix.__main__ import interpreter
from matrix.errors import MatrixError
from matrix.plan import Trial
from setup_rules import SPARKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "versions.md"
TRIAL = Trial("core", "18", "3.5", "3.9")
COUNTS = table.Counts(passed=1083, failed=0, skipped=150, seconds=90)
ROW = table.Row("core", ("18.4", "3.5.6", "3.9.18"), COUNTS, "2026-11-21", "0123456789")
EMPTY = f"before\n{table.BEGIN}{table.END}after\n"


def test_each_server_each_spark_and_each_python_is_tried() -> None:
    trials = plan.trials()
    assert {trial.postgres for trial in trials if trial.tests == "postgres"} == set(plan.POSTGRESES)
    assert {trial.python for trial in trials if trial.tests == "postgres"} == set(plan.PYTHONS)
    assert {(trial.spark, trial.python) for trial in trials if trial.tests == "core"} == {
        (spark, python) for spark, pythons in plan.SPARKS.items() for python in pythons
    }
    assert {trial.spark for trial in trials if trial.tests == "whole"} == set(plan.SPARKS)
    assert len({trial.name for trial in trials}) == len(trials)


def test_no_spark_is_tried_with_a_python_that_it_does_not_know() -> None:
    assert all(trial.python in plan.SPARKS[trial.spark] for trial in plan.trials())


def test_each_version_can_be_had() -> None:
    servers_pinned = json.loads((ROOT / "matrix" / "npm" / "package-lock.json").read_text())["packages"]
    for version in plan.POSTGRESES:
        entry = servers_pinned[f"node_modules/postgres-{version}"]
        assert entry["version"].startswith(f"{version}.")
        assert entry["integrity"].startswith("sha512-")
    assert tuple(plan.SPARKS) == SPARKS


def test_the_paths_of_each_trial_are_there() -> None:
    paths = [path for trial in plan.trials() for path in trial.paths]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], len(plan.trials())),
        (["postgres-*"], 5),
        (["core-*-python-3.9", "whole-*-spark-4.1-*"], 3),
        (["*-spark-3.5-*"], 4),
    ],
)
def test_pairs_are_chosen_by_name(patterns: list[str], chosen: int) -> None:
    assert len(plan.choose(patterns, plan.trials())) == chosen


def test_a_pair_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"PAIRS=core-9 names none of these:\n  postgres-postgres-14-"):
        plan.choose(["core-9"], plan.trials())


def test_a_row_is_read_back_as_it_was_written() -> None:
    page = table.with_row(EMPTY, ROW, plan.trials())
    assert table.read(page) == [ROW]
    assert page.startswith("before\n")
    assert page.endswith("after\n")


def test_a_result_takes_the_place_of_the_same_trials_last_one_in_the_tables_order() -> None:
    older = table.Row("core", ("18.3", "3.5.6", "3.9.1"), COUNTS, "2026-10-01", "1111111111")
    other = table.Row("postgres", ("14.23", "4.0.2", "3.9.18"), COUNTS, "2026-11-21", "0123456789")
    page = EMPTY
    for row in (older, other, ROW):
        page = table.with_row(page, row, plan.trials())
    assert table.read(page) == [other, ROW]


def test_a_page_without_a_place_for_the_table_is_told() -> None:
    with pytest.raises(ValueError, match="lacks the lines <!-- make matrix: begin -->"):
        table.with_row("nothing", ROW, plan.trials())


def with_failures(failed: int, commit: str) -> table.Row:
    return table.Row(ROW.tests, ROW.versions, table.Counts(1, failed, 0, 1.0), ROW.date, commit)


@pytest.mark.parametrize(
    ("row", "commit", "settled"),
    [
        (ROW, ROW.commit, True),
        (ROW, "fedcba9876", False),
        (with_failures(1, ROW.commit), ROW.commit, False),
        (with_failures(0, "0123456789+"), "0123456789+", False),
    ],
)
def test_what_passed_on_a_commit_is_not_run_again_on_it(row: table.Row, commit: str, settled: bool) -> None:
    assert row.settles(TRIAL, commit) is settled


def test_a_result_is_of_its_own_versions_alone() -> None:
    others = [Trial("core", "18", "3.5", "3.10"), Trial("core", "18", "4.0", "3.9"), Trial("whole", "18", "3.5", "3.9")]
    assert ROW.is_of(TRIAL)
    assert not any(ROW.is_of(other) for other in others)


REPORT = """<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="2" tests="9" time="12.5">
<testcase classname="tests.unit.test_a" name="test_good"/>
<testcase classname="tests.unit.test_a" name="test_bad[1]"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_b" name="test_worse"><error message="no"/></testcase>
</testsuite></testsuites>"""


def test_pytests_report_is_summed_up() -> None:
    root = ET.fromstring(REPORT)  # noqa: S314 - it stands above
    assert junit.counts(root) == table.Counts(passed=5, failed=2, skipped=2, seconds=12.5)
    assert junit.failures(root) == ["tests/unit/test_a.py::test_bad[1]", "tests/unit/test_b.py::test_worse"]


def test_links_of_npms_packages_lead_to_the_file_beside_them() -> None:
    listed = [{"source": "native/lib/libpq.so.5.18", "target": "native/lib/libpq.so.5"}]
    assert servers.links(listed) == {"lib/libpq.so.5": "libpq.so.5.18"}


def test_an_interpreter_is_asked_for_its_version_and_a_missing_one_is_told_with_what_to_say(tmp_path: Path) -> None:
    for name, version in (("shim", ""), ("other", "3.8"), ("right", "3.9")):
        body = f"echo {version}" if version else "exit 127"
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    among = [tmp_path / name for name in ("shim", "other", "right")]
    assert environments.find("3.9", among) == tmp_path / "right"
    with pytest.raises(MatrixError, match=r"no Python 3\.9: name one by PYTHONS=3\.9=/path"):
        environments.find("3.9", among[:2])


@pytest.mark.parametrize("text", ["/usr/bin/python3.9", "2.7=/usr/bin/python2.7"])
def test_an_interpreter_is_named_with_its_version(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not VERSION=PATH"):
        interpreter(text)
    assert interpreter("3.9=/opt/python") == ("3.9", Path("/opt/python"))


def test_the_docs_table_has_rows_of_trials_alone() -> None:
    rows = table.read(PAGE.read_text())
    assert [row for row in rows if not any(row.is_of(trial) for trial in plan.trials())] == []
