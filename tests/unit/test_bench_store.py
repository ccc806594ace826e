from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bench.results import store
from bench.results.figures import Figures

LOAD = Figures(10.0, 20.0, 4.0, 12.0, 0.5, 3, 2, 1, {"copy": 5.0})
ABOUT = {"code": "a", "data": {"scale": 1.0}, "Spark": ("x", "y")}


def test_an_interrupted_benchmark_goes_on_with_the_runs_so_far(tmp_path: Path) -> None:
    path = tmp_path / "results" / "scale-1.json"
    first = store.open_store(path, ABOUT)
    first.add("pgjobs", LOAD)
    first.add("pgjobs", replace(LOAD, seconds=12.0))
    again = store.open_store(path, ABOUT)
    assert again.runs == {"pgjobs": [LOAD, replace(LOAD, seconds=12.0)]}
    again.add("JDBC", LOAD)
    assert store.open_store(path, ABOUT).runs == {**first.runs, "JDBC": [LOAD]}


def test_runs_of_other_code_are_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "scale-1.json"
    store.open_store(path, ABOUT).add("pgjobs", LOAD)
    assert not store.open_store(path, {**ABOUT, "code": "b"}).runs
    assert not path.exists()
    [aside] = tmp_path.iterdir()
    assert store.runs_of(json.loads(aside.read_text())) == {"pgjobs": [LOAD]}


def test_what_was_run_is_put_aside_on_request(tmp_path: Path) -> None:
    path = tmp_path / "scale-1.json"
    store.open_store(path, ABOUT).add("pgjobs", LOAD)
    assert not store.open_store(path, ABOUT, fresh=True).runs
    assert len(list(tmp_path.iterdir())) == 1


def test_the_json_has_the_median_the_spread_and_each_run() -> None:
    written = store.as_json(ABOUT, {"pgjobs": [LOAD, replace(LOAD, seconds=12.0), replace(LOAD, seconds=20.0)]})
    way = json.loads(json.dumps(written))["ways"]["pgjobs"]
    assert (way["seconds"], way["spread"]["seconds"]) == (12.0, [10.0, 20.0])
    assert [run["seconds"] for run in way["runs"]] == [10.0, 12.0, 20.0]


def test_a_way_that_failed_has_no_figures(tmp_path: Path) -> None:
    path = tmp_path / "scale-1.json"
    first = store.open_store(path, ABOUT)
    assert not first.runs["failed"]
    first.add("pgjobs", LOAD)
    assert store.open_store(path, ABOUT).runs == {"pgjobs": [LOAD]}


def test_the_code_is_another_after_a_change_or_a_new_name(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = store.code(tmp_path)
    assert store.code(tmp_path) == before
    (tmp_path / "a.py").write_text("2")
    changed = store.code(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({before, changed, store.code(tmp_path)}) == 3
