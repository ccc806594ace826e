from __future__ import annotations

import pytest

from demo_text import TABLES, aligned, bars, load_id, loads_table, not_loaded, submit_command, tail


@pytest.mark.parametrize(
    ("done", "missing"),
    [
        (set(), list(TABLES)),
        ({load_id("airlines"), load_id("flights")}, ["airports", "planes", "weather"]),
        ({load_id(table) for table in TABLES}, []),
        ({"flights", "another/load"}, list(TABLES)),
    ],
)
def test_what_is_loaded_is_not_loaded_again(done: set[str], missing: list[str]) -> None:
    assert not_loaded(done) == missing


def test_each_load_is_named_so_that_it_happens_once() -> None:
    command = submit_command(
        "submit", "job.py", source="a.csv", table="planes", url="postgresql://h/d", report="r.json"
    )
    assert command[command.index("--load-id") + 1] == "nycflights13/planes"


def test_what_follows_the_job_is_the_jobs_and_what_comes_before_is_sparks() -> None:
    command = submit_command(
        "submit", "job.py", source="a.csv", table="planes", url="postgresql://h/d", report="r.json"
    )
    job = command.index("job.py")
    assert command.index("--master") < job < command.index("--source")


def test_the_loads_are_shown_aligned_with_their_speed() -> None:
    shown = loads_table({"airlines": 16, "flights": 336776}, {"flights": 4.0})
    assert shown.splitlines() == [
        "table        rows        seconds  rows a second",
        "airlines       16  loaded before",
        "flights   336,776            4.0         84,194",
    ]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert aligned([("a", "bb"), ("ccc", "d")]) == "a    bb\nccc   d"


def test_bars_are_in_proportion_to_the_largest() -> None:
    shown = bars([("Endeavor", 20.0), ("Delta", 10.0)], "min").splitlines()
    assert [line.count("#") for line in shown] == [30, 15]


@pytest.mark.parametrize(("lines", "last"), [(1, "c"), (2, "b\nc"), (9, "a\nb\nc")])
def test_the_tail_is_the_last_lines(lines: int, last: str) -> None:
    assert tail("a\nb\nc\n", lines) == last
