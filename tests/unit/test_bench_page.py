from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import draw
from bench.places import ROOT
from bench.plan import catalogue
from bench.results import goals, page, store
from bench.results.figures import Figures

LOAD = Figures(10.0, 20.0, 6.0, 12.0, 0.5, 3, 2, 80e6, {"copy": 5.0, "publish": 2.5}, wal=600e6)
JDBC = replace(LOAD, seconds=20.0, worker_memory=0, phases={})
ABOUT = {
    "data": {"scale": 0.5, "rows": 3_000_000},
    "cores": 2,
    "versions": {"PostgreSQL": "15.18 (Debian)", "pyspark": "4.1.1"},
}
RUNS: page.Runs = {
    catalogue.LOAD: [LOAD, replace(LOAD, seconds=11.0), replace(LOAD, seconds=12.0)],
    catalogue.JDBC: [JDBC],
}
STORED = {"0.5": store.as_json(ABOUT, {way.label: of_way for way, of_way in RUNS.items()})}


def test_the_table_has_medians_spread_and_ratios_and_says_what_was_measured() -> None:
    lines = page.table(RUNS, catalogue.JDBC, ABOUT).splitlines()
    assert lines[2] == "| pgjobs, table exists | 11.0 | 1.0 | 0.55 | 2.5 | 6.0 | 1.00 | 12.0 | 600 | 80 |"
    assert lines[-1] == ("Medians of 1 to 3 rounds; scale 0.5, 3,000,000 rows; 2 cores; PostgreSQL 15.18, Spark 4.1.1.")


def test_the_costs_are_those_of_a_row_and_of_ten_billion() -> None:
    """Of each way, at the largest scale at which it was measured."""
    upsert = {catalogue.SAME: [LOAD]}
    assert page.costs({0.5: RUNS, 0.1: {**RUNS, **upsert}}, {0.5: 3_000_000, 0.1: 600_000}).splitlines()[2:] == [
        "| pgjobs, table exists | 3,000,000 | 2.00 | 0.83 | 200 | 4.00 | 5.6 | 2.3 | 2.0 | 11.1 |",
        "| pgjobs upsert, 0 % changed | 600,000 | 10.00 | 4.17 | 1000 | 20.00 | 27.8 | 11.6 | 10.0 | 55.6 |",
    ]


def test_the_readme_gets_each_way_beside_jdbcs_if_all_were_measured() -> None:
    assert page.summary({0.5: RUNS}, {0.5: ABOUT}) is None
    runs: page.Runs = {way: [LOAD] for pair in page.SUMMARY for way in pair} | {catalogue.JDBC: [JDBC]}
    lines = page.summary({0.5: RUNS, 0.3: runs}, {0.3: ABOUT})
    assert lines is not None
    assert lines.splitlines()[2] == "| pgjobs, makes the table | 10.0 | 20.0 | 0.50 x | 1.00 x |"


def test_a_missed_goal_is_told_with_its_reason() -> None:
    missed = goals.Judged(goals.Goal("time", 0.5, "seconds", catalogue.LOAD, catalogue.JDBC, "tried"), 0.55)
    reached = goals.Judged(goals.Goal("other", 0.6, "seconds", catalogue.LOAD, catalogue.JDBC, "not told"), 0.55)
    text = page.verdicts([(1.0, missed), (0.5, reached), (0.0, replaced(missed))])
    assert "| time | 0.5 | 0.55 | no | 1 |" in text
    assert "| time | 0.5 |  | not measured |  |" in text
    assert text.endswith("Not reached:\n\n- time: tried")


def replaced(judged: goals.Judged) -> goals.Judged:
    return goals.Judged(judged.goal, None)


def test_a_text_takes_the_place_of_the_one_before() -> None:
    before = "a\n<!-- figures: x -->\nold\n<!-- end -->\nb\n<!-- figures: y -->\n<!-- end -->\n"
    once = page.insert(before, "x", r"new \1")
    assert once == before.replace("old\n", "\nnew \\1\n\n")
    assert page.insert(once, "x", r"new \1") == once
    with pytest.raises(ValueError, match="no place for the figures 'z'"):
        page.insert(before, "z", "")


def test_the_scale_with_the_most_ways_counts_and_of_these_the_largest() -> None:
    scales: dict[float, page.Runs] = {0.1: RUNS, 0.3: RUNS, 1.0: {catalogue.LOAD: [LOAD]}}
    found = page.best(scales, catalogue.LOADS)
    assert found is not None
    assert (found[0], set(found[1])) == (0.3, {catalogue.LOAD, catalogue.JDBC})
    assert page.best(scales, catalogue.READS) is None


def test_a_capture_is_shown_with_what_was_measured_of_it() -> None:
    lines: list[dict[str, object]] = [
        {"name": "COPY, s", "plain": 1.614, "captured": 2.06, "ratio": 1.28, "goal": 1.5},
        {"name": "delay", "plain": None, "captured": 0.04, "ratio": None, "goal": None},
    ]
    assert page.capture(lines).splitlines()[2:] == [
        "| COPY, s | 1.61 | 2.06 | 1.28 | 1.50 |",
        "| delay |  | 0.04 |  |  |",
    ]


def test_growth_needs_two_scales() -> None:
    assert page.growth({1.0: RUNS}) is None
    assert page.growth({1.0: RUNS, 3.0: RUNS}) is not None


def test_what_is_drawn_follows_from_the_stored_figures_alone() -> None:
    texts, pictures = draw.drawn(STORED)
    assert set(texts) == {"loading", "costs", "goals"}
    assert set(pictures) == {"performance-loading"}
    assert "assets/performance-loading.svg" in texts["loading"]


def test_the_cost_of_quarantine_is_judged_on_the_page_once_it_is_measured() -> None:
    runs = {
        catalogue.LOAD: [LOAD],
        catalogue.NONE_BAD: [replace(LOAD, seconds=8.9)],
        catalogue.SOME_BAD: [replace(LOAD, seconds=12)],
    }
    stored = {"1": store.as_json(ABOUT, {way.label: of_way for way, of_way in runs.items()})}
    lines = draw.drawn(stored)[0]["goals"].splitlines()
    assert "| quarantine, none bad: time, x the load | 1.1 | 0.89 | yes | 1 |" in lines
    assert "| quarantine, one in 10,000 bad: time, x the load | 1.1 | 1.2 | no | 1 |" in lines


def test_results_that_were_put_aside_or_only_tried_are_not_drawn(tmp_path: Path) -> None:
    for name in ("scale-1", "scale-0.01", "scale-1-until-2026-11-21T101010", "busy-scale-1", "scale-0.3"):
        (tmp_path / f"{name}.json").touch()
    assert [path.stem for path in draw.measured(tmp_path)] == ["scale-0.3", "scale-1"]


@pytest.mark.parametrize("name", draw.PAGES)
def test_the_pages_show_the_figures_of_the_committed_file(name: str) -> None:
    """Beside the goals, which may have changed since they were last measured."""
    text = (ROOT / name).read_text()
    texts, pictures = draw.drawn(json.loads(draw.FIGURES.read_text()))
    for place, drawn in texts.items():
        if place != "goals" and f"<!-- figures: {place} -->" in text:
            assert page.insert(text, place, drawn) == text
    for file, picture in pictures.items():
        assert (draw.ASSETS / f"{file}.svg").read_text() == picture
