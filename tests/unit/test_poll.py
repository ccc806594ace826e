"""How a run is followed: what is told meanwhile, and how long the pauses are."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
from emr_runs import APPLICATION, RUN, on_time

from pgjobs.errors import PassingError
from pgjobs.runs.poll import Follower, WaitedEnough, changes, pauses
from pgjobs.runs.run import Run

GOING = Run(APPLICATION, RUN, "RUNNING")


def test_an_unknown_state_is_taken_for_going_on_and_said_once() -> None:
    odd = replace(GOING, state="PREPARING")
    assert not odd.ended
    assert changes(GOING, odd) == ["PREPARING: a state unknown to this version of pgjobs; still waiting"]
    assert changes(odd, odd) == []


def test_changes_of_state_and_attempt_are_told() -> None:
    assert changes(None, GOING) == ["RUNNING"]
    again = replace(GOING, state="SCHEDULED", attempt=2, most_attempts=3)
    assert changes(GOING, again) == ["attempt 2 of 3", "SCHEDULED: workers are being started"]


def test_pauses_grow_to_a_bound_and_chance_shortens_them() -> None:
    longest = list(islice(pauses(lambda: 1.0), 8))
    assert longest[:3] == [2.0, 3.0, 4.5]
    assert longest[-1] == 20.0
    assert next(pauses(lambda: 0.0)) == 1.5


def follower(answers: list[Run | Exception], told: list[str], slept: list[float] | None = None) -> Follower:
    """A follower of a run that answers these, one at a question; the last one for ever."""
    clock, pauses_made = on_time()
    left = list(answers)

    def read() -> Run:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        if slept is not None:
            slept[:] = pauses_made
        return answer

    return Follower(read, lambda *_: False, told.append, 0, clock)


def test_all_nine_states_are_followed_to_the_end() -> None:
    told: list[str] = []
    states = ["SUBMITTED", "QUEUED", "PENDING", "SCHEDULED", "RUNNING", "CANCELLING", "CANCELLED"]
    run = follower([replace(GOING, state=state) for state in states], told).until_ended(1000)
    assert run.state == "CANCELLED"
    assert [line.partition(":")[0] for line in told] == states[:-1]


def test_what_aws_cannot_answer_now_is_told_once_and_asked_again() -> None:
    told: list[str] = []
    passing = PassingError("AWS cannot serve GetJobRun: Rate exceeded.")
    follower([GOING, passing, passing, GOING, passing, replace(GOING, state="SUCCESS")], told).until_ended(1000)
    assert told == ["RUNNING", f"{passing} Waiting on.", f"{passing} Waiting on."]


def test_after_a_change_of_state_it_is_asked_often_again() -> None:
    slept: list[float] = []
    scheduled = replace(GOING, state="SCHEDULED")
    follower([*[scheduled] * 5, GOING, GOING, replace(GOING, state="SUCCESS")], [], slept).until_ended(1000)
    assert slept == [2.0, 3.0, 4.5, 6.75, 10.125, 2.0, 3.0]


def test_waiting_ends_at_the_deadline_and_not_later() -> None:
    slept: list[float] = []
    with pytest.raises(WaitedEnough):
        follower([GOING], [], slept).until_ended(30)
    assert sum(slept) == 30
