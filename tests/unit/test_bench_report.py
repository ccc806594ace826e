from __future__ import annotations

from dataclasses import replace

import pytest

from bench.plan import catalogue
from bench.plan.way import Way
from bench.results import goals, report
from bench.results.figures import Figures
from bench.results.goals import Goal

LOAD = Figures(
    seconds=10.0,
    wall=20.0,
    server_cpu=4.0,
    client_cpu=12.0,
    other_cpu=0.5,
    client_memory=900e6,
    jvm_memory=700e6,
    worker_memory=0,
    wal=950e6,
)
OURS = replace(LOAD, seconds=7.5, server_cpu=3.0, worker_memory=150e6, phases={"copy": 5.0, "publish": 2.5})
MEDIANS = {catalogue.LOAD: OURS, catalogue.JDBC: LOAD}
RUNS = {catalogue.LOAD: [replace(OURS, seconds=7.4), replace(OURS, seconds=7.6)], catalogue.JDBC: [LOAD]}


def test_each_way_is_shown_with_its_spread_and_its_ratios_to_jdbc() -> None:
    first, ours, jdbc = (" ".join(line.split()) for line in report.table(RUNS, catalogue.JDBC).splitlines())
    assert first.startswith(
        "way rounds seconds +- x JDBC server CPU s x JDBC client CPU s other CPU s WAL MB worker MB"
    )
    assert ours == "pgjobs, table exists 2 7.5 0.1 0.75 3.0 0.75 12.0 0.5 950 150 700 900 20.0"
    assert jdbc == "Spark JDBC, reWriteBatchedInserts 1 10.0 1.00 4.0 1.00 12.0 0.5 950 700 900 20.0"


@pytest.mark.parametrize("jdbc", [catalogue.JDBC, None])
def test_without_jdbc_there_are_no_ratios(jdbc: Way | None) -> None:
    [_, ours] = report.table({catalogue.LOAD: [OURS]}, jdbc).splitlines()
    assert " ".join(ours.split()) == "pgjobs, table exists 1 7.5 3.0 12.0 0.5 950 150 700 900 20.0"


def test_phases_are_shown_where_there_are_some() -> None:
    assert report.phases(MEDIANS).splitlines() == [
        "seconds of phases     copy  publish",
        "pgjobs, table exists  5.00     2.50",
    ]


def test_a_load_that_others_disturbed_is_named() -> None:
    assert not report.disturbed(MEDIANS)
    busy = {**MEDIANS, catalogue.JDBC: replace(LOAD, other_cpu=6.0)}
    assert report.disturbed(busy) == f"Disturbed, the machine had other work meanwhile: {catalogue.JDBC.label}."


def test_a_report_has_the_tables_of_what_was_measured_only() -> None:
    text = report.text(RUNS, {"data": {"scale": 1.0}})
    assert "data: scale 1.00" in text
    assert "loading\nway " in text
    assert "extracting\n" not in text


TIME = Goal("a", 0.75, "seconds", catalogue.LOAD, catalogue.JDBC, "a reason")
PHASE = Goal("b", 5, "phases.copy", catalogue.LOAD)
MISSED = Goal("c", 0.7, "server_cpu", catalogue.LOAD, catalogue.JDBC, "tried in vain")
ABSENT = Goal("d", 0.7, "seconds", catalogue.ADBC, catalogue.JDBC)


def test_a_goal_is_judged_by_a_figure_or_by_a_ratio_of_two() -> None:
    judged = goals.judged(MEDIANS, [TIME, PHASE, MISSED, ABSENT])
    assert [one.reached for one in judged] == [0.75, 5.0, 0.75, None]
    assert [one.verdict for one in judged] == ["yes", "yes", "no", "not measured"]


def test_the_verdict_shows_target_and_reached_and_what_was_tried_for_a_missed_goal() -> None:
    judged = goals.judged(MEDIANS, [TIME, MISSED, ABSENT])
    assert [" ".join(line.split()) for line in report.verdicts(judged).splitlines()[1:]] == [
        "a <= 0.75 0.75 yes",
        "c <= 0.7 0.75 NO",
        "d <= 0.7 not measured",
    ]
    assert report.tried(judged) == "c: tried in vain"


@pytest.mark.parametrize(
    ("value", "shown"),
    [({"scale": 0.5, "rows": 7}, "scale 0.50, rows 7"), ((0.123, 4.0), "0.12 4.00"), ("text", "text")],
)
def test_circumstances_are_shown_in_a_line(value: object, shown: str) -> None:
    assert report.shown(value) == shown
