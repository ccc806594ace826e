from __future__ import annotations

from bench.results import goals


def test_the_ways_of_the_goals_are_ways_of_the_plan() -> None:
    named = {way for goal in goals.GOALS for way in (goal.way, goal.to) if way is not None}
    assert set(goals.needed()) == named
