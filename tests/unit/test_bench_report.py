from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench import plan, report
from bench.errors import BenchError
from bench.figures import Figures

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
MEDIANS = {plan.LOAD: OURS, plan.JDBC: LOAD}


def goal(name: str) -> report.Goal:
    [found] = [one for one in report.goals(MEDIANS) if one.name == name]
    return found


def test_each_way_is_shown_with_its_ratios_to_jdbc() -> None:
    first, ours, jdbc = (" ".join(line.split()) for line in report.table(MEDIANS, 6000, plan.JDBC).splitlines())
    assert first.startswith("way seconds rows/s x JDBC server CPU s x JDBC client CPU s other CPU s WAL MB worker MB")
    assert ours == "pgjobs, table exists 7.5 800 0.75 3.0 0.75 12.0 0.5 950 150 700 900 20.0"
    assert jdbc == "Spark JDBC, reWriteBatchedInserts 10.0 600 1.00 4.0 1.00 12.0 0.5 950 700 900 20.0"


def test_without_jdbc_there_are_no_ratios() -> None:
    [_, ours] = report.table({plan.LOAD: OURS}, 6000, plan.JDBC).splitlines()
    assert " ".join(ours.split()) == "pgjobs, table exists 7.5 800 3.0 12.0 0.5 950 150 700 900 20.0"


def test_phases_are_shown_where_there_are_some() -> None:
    assert report.phases(MEDIANS).splitlines() == [
        "seconds of phases     copy  publish",
        "pgjobs, table exists   5.0      2.5",
    ]


def test_a_load_that_others_disturbed_is_named() -> None:
    assert not report.disturbed(MEDIANS)
    busy = {**MEDIANS, plan.JDBC: replace(LOAD, other_cpu=6.0)}
    assert report.disturbed(busy) == f"Disturbed, the machine had other work meanwhile: {plan.JDBC.label}."


@pytest.mark.parametrize(
    ("name", "reached"),
    [
        ("table exists: time, x JDBC", 0.75),
        ("table exists: server CPU, x JDBC", 0.75),
        ("makes the table: time, x JDBC", None),
        ("biggest Python worker, MB", 150.0),
    ],
)
def test_what_was_reached_is_a_ratio_or_nothing(name: str, reached: float | None) -> None:
    assert goal(name).reached == reached


def test_the_verdict_shows_target_and_reached() -> None:
    goals = [report.Goal("a", 0.75, 0.75), report.Goal("b", 300, 301.2), report.Goal("c", 1.15, None)]
    assert [" ".join(line.split()) for line in report.verdicts(goals).splitlines()[1:]] == [
        "a <= 0.75 0.75 yes",
        "b <= 300 301 NO",
        "c <= 1.15 not measured",
    ]


def test_the_json_has_the_medians_each_run_and_the_goals() -> None:
    runs = {plan.JDBC: [LOAD, replace(LOAD, seconds=12.0)]}
    written = json.loads(json.dumps(report.as_json(runs, {"data": {"scale": 1.0}})))
    assert written["data"] == {"scale": 1.0}
    jdbc = written["ways"][plan.JDBC.label]
    assert (jdbc["seconds"], [run["seconds"] for run in jdbc["runs"]]) == (11.0, [10.0, 12.0])
    assert written["goals"][0] == {"name": "table exists: time, x JDBC", "target": 0.75, "reached": None}


@pytest.mark.parametrize(
    ("value", "shown"),
    [({"scale": 0.5, "rows": 7}, "scale 0.50, rows 7"), ((0.123, 4.0), "0.12 4.00"), ("text", "text")],
)
def test_circumstances_are_shown_in_a_line(value: object, shown: str) -> None:
    assert report.shown(value) == shown


def test_several_ways_are_chosen_by_parts_of_their_names() -> None:
    assert plan.choose("three indexes|upsert, 100") == (plan.INDEXED, plan.JDBC_INDEXED, plan.ALL)
    assert plan.choose("compare_table") == (plan.LOAD, plan.COMPARE)
    with pytest.raises(BenchError, match="No way's name contains 'nothing'"):
        plan.choose("nothing")
