"""Loads on a simulated server: neither a standby's lag nor the rate of WAL exceeds its limit, and no time is wasted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from jobs.dbaccess.catalog.wal import Standby, Wal
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.flows.load.pace.governor import PERIOD, Governor, Limits

MB = 1_000_000

MESSAGE = 104
"""Bytes of WAL that each look at standbys writes. A standby on another machine has not replayed them yet."""


@dataclass
class World:
    """A server that writes WAL for the steps that run, and a standby that replays it at its own speed."""

    speed: float
    replays: float
    others: float = 0
    now: float = 1000.0
    written: float = 5000 * MB
    replayed: float = 5000 * MB
    running: list[float] = field(default_factory=list)
    trail: list[tuple[float, float]] = field(default_factory=list)
    longest_lag: float = 0
    has_standby: bool = True
    pid: int = 7

    def look(self) -> Wal:
        if self.has_standby:
            self.written += MESSAGE
            self.trail.append((self.now, self.written))
        standby = Standby(self.pid, "walreceiver", int(self.replayed), 0.0)
        return Wal(int(self.written), (standby,) if self.has_standby else ())

    def governor(self, limits: Limits) -> Governor:
        def sleep(seconds: float) -> None:
            self.pass_time(seconds)
            assert self.now < 3_000, "the load waits in vain"

        return Governor(limits.rules(), self.look, lambda: self.now, sleep)

    def pass_time(self, seconds: float) -> int:
        """Return how many steps ended."""
        self.now += seconds
        share = self.speed * seconds
        self.written += sum(min(left, share) for left in self.running) + self.others * seconds
        self.running = [left - share for left in self.running]
        ended = sum(left <= 0 for left in self.running)
        self.running = [left for left in self.running if left > 0]
        self.replayed = min(self.written, self.replayed + self.replays * seconds)
        self.trail.append((self.now, self.written))
        self.trail = [(when, position) for when, position in self.trail if position > self.replayed]
        self.longest_lag = max(self.longest_lag, self.now - self.trail[0][0] if self.trail else 0)
        return ended


def load(world: World, limits: Limits, steps: int, size: float, at_once: int = 16) -> float:
    """Return how long a load takes, in seconds."""
    governor = world.governor(limits)
    begun = world.now
    while steps or world.running:
        while steps and len(world.running) < at_once and governor.may_start(len(world.running)):
            world.running.append(size)
            steps -= 1
        for _ in range(world.pass_time(PERIOD)):
            governor.ended()
        assert world.now - begun < 100_000
    seconds = world.now - begun
    while world.replayed < world.written:
        world.pass_time(PERIOD)
    return seconds


@pytest.mark.parametrize("size", [1 * MB, 10 * MB, 40 * MB])
@pytest.mark.parametrize("allowed", [10, 60])
def test_a_slow_standby_stays_within_the_allowed_lag_and_is_kept_busy(size: float, allowed: float) -> None:
    world = World(speed=20 * MB, replays=15 * MB)
    seconds = load(world, Limits(replica_lag=allowed), int(3000 * MB / size), size)
    assert world.longest_lag < allowed
    assert seconds < 1.4 * 3000 / 15


def publish(world: World, allowed: float, slices: int, governor: Governor | None = None) -> float:
    """Return how long slices of 4 MB take of which each is written within 20 ms."""
    governor = governor or world.governor(Limits(replica_lag=allowed))
    begun = world.now
    for _ in range(slices):
        governor.wait()
        world.written += 4 * MB
        world.pass_time(0.02)
        governor.ended()
    seconds = world.now - begun
    while world.replayed < world.written:
        world.pass_time(PERIOD)
    return seconds


@pytest.mark.parametrize("allowed", [5, 20])
def test_slices_wait_until_it_is_known_how_fast_the_standby_replays(allowed: float) -> None:
    """Before 0.5 s have passed, in which the speed is measured, they would be 50 s ahead."""
    world = World(speed=0, replays=2 * MB)
    seconds = publish(world, allowed, 100)
    assert world.longest_lag < allowed
    assert seconds < 1.4 * 100 * 4 / 2


@pytest.mark.parametrize("replays", [150, 190, 210, 1000])
def test_slices_wait_little_for_a_fast_standby(replays: float) -> None:
    world = World(speed=0, replays=replays * MB)
    assert publish(world, 2, 1000) < max(1000 * 0.02, 4000 / replays) + 2


def test_a_moment_in_which_the_standby_does_nothing_does_not_slow_a_load_for_long() -> None:
    world = World(speed=10 * MB, replays=1000 * MB)
    governor = world.governor(Limits(replica_lag=10))
    governor.may_start(0)
    world.written += 1 * MB
    world.replays = 0
    for _ in range(5):
        world.pass_time(PERIOD)
        governor.may_start(0)
    world.replays = 1000 * MB
    begun, left = world.now, 100
    while left or world.running:
        while left and len(world.running) < 16 and governor.may_start(len(world.running)):
            world.running.append(10 * MB)
            left -= 1
        for _ in range(world.pass_time(PERIOD)):
            governor.ended()
    assert world.now - begun < 25


@pytest.mark.parametrize("allowed", [2, 10, 60])
def test_a_moment_in_which_a_standby_replays_nothing_does_not_stop_slices(allowed: float) -> None:
    """All that it could replay since then are the few bytes that each look writes: it seemed to be as slow as that."""
    world = World(speed=0, replays=0)
    governor = world.governor(Limits(replica_lag=allowed))
    for _ in range(4):
        governor.may_start(0)
        world.pass_time(PERIOD)
    world.replays = 1000 * MB
    assert publish(world, allowed, 100, governor) < 100 * 0.02 + 6


def test_without_a_limit_the_same_standby_falls_far_behind() -> None:
    world = World(speed=20 * MB, replays=15 * MB)
    load(world, Limits(replica_lag=math.inf), 300, 10 * MB)
    assert world.longest_lag > 150


def test_a_fast_standby_does_not_slow_a_load() -> None:
    free, governed = (World(speed=10 * MB, replays=1000 * MB) for _ in range(2))
    unlimited = load(free, Limits(), 100, 10 * MB)
    assert load(governed, Limits(replica_lag=10), 100, 10 * MB) < unlimited + 2


@pytest.mark.parametrize("size", [1 * MB, 20 * MB, 200 * MB])
def test_the_rate_of_wal_is_kept_and_used(size: float) -> None:
    world = World(speed=30 * MB, replays=math.inf)
    before = world.written
    seconds = load(world, Limits(wal_rate=50 * MB), int(4000 * MB / size), size)
    assert 0.6 * 50 * MB < (world.written - before) / seconds < 1.1 * 50 * MB


def test_what_others_write_counts() -> None:
    world = World(speed=30 * MB, replays=math.inf, others=40 * MB)
    assert load(world, Limits(wal_rate=50 * MB), 400, 5 * MB) > 2000 / 10 * 0.8


def test_others_that_write_all_that_is_allowed_end_the_load() -> None:
    world = World(speed=30 * MB, replays=math.inf, others=51 * MB)
    with pytest.raises(LoadError, match=r"Others have written at least 50\.0 MB of WAL per second for 600 s"):
        load(world, Limits(wal_rate=50 * MB), 400, 5 * MB)
    assert 600 < world.now - 1000 < 900


def test_loads_with_the_same_limit_share_it() -> None:
    """The second one begins when the first one has written all that it may for the moment."""
    world = World(speed=30 * MB, replays=math.inf)
    first, second = (world.governor(Limits(wal_rate=50 * MB)) for _ in range(2))
    steps, running = {first: 0, second: 0}, {first: 0, second: 0}
    begun, before = world.now, world.written
    while world.now < begun + 900:
        for one in (first, second):
            for _ in range(running[one]):  # a step takes less than a period
                one.ended()
            running[one] = 0
            while (one is first or world.now > begun + 20) and running[one] < 16 and one.may_start(running[one]):
                running[one] += 1
                steps[one] += 1
                world.running.append(5 * MB)
            world.pass_time(PERIOD / 2)
    assert min(steps.values()) > 0.3 * max(steps.values())
    assert 0.8 * 50 * MB < (world.written - before) / 900 < 1.1 * 50 * MB


def test_a_step_that_wrote_far_too_much_is_waited_for() -> None:
    """It takes 2,000 seconds until the rate is kept again: the load itself has written that, and goes on."""
    world = World(speed=30 * MB, replays=math.inf, others=0.9 * MB)
    assert load(world, Limits(wal_rate=1 * MB), 2, 200 * MB) > 1_900


def test_a_standby_that_stops_ends_the_load_with_its_name() -> None:
    world = World(speed=20 * MB, replays=0)
    with pytest.raises(LoadError, match="walreceiver has replayed nothing for 600 s"):
        load(world, Limits(replica_lag=10), 100, 10 * MB)
    assert world.now < 1000 + 700


def test_a_load_without_standbys_goes_on_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    world = World(speed=20 * MB, replays=math.inf, has_standby=False)
    load(world, Limits(replica_lag=10), 10, 10 * MB)
    assert [record.message for record in caplog.records] == [
        "No standby is connected. --max-replica-lag has no effect until one is."
    ]


def test_a_slice_waits_until_it_may_start() -> None:
    world = World(speed=20 * MB, replays=15 * MB, replayed=4000 * MB)
    governor = world.governor(Limits(replica_lag=10))
    governor.may_start(0)
    world.pass_time(8)
    governor.wait()
    assert world.replayed == world.written - MESSAGE


def look_each_period(world: World, governor: Governor, seconds: float) -> None:
    for _ in range(int(seconds / PERIOD)):
        governor.may_start(0)
        world.pass_time(PERIOD)


def test_a_standby_that_comes_back_is_as_far_behind_as_what_it_has_not_replayed_is_old() -> None:
    """It gets another server process, of which nothing was seen, and the server has no measure of its lag yet."""
    world = World(speed=0, replays=1 * MB, others=2 * MB)
    governor = world.governor(Limits(replica_lag=10))
    look_each_period(world, governor, 2)
    world.has_standby, world.replays = False, 0
    look_each_period(world, governor, 60)
    world.has_standby, world.pid, world.replays, world.others = True, 8, 1000 * MB, 0
    assert not governor.may_start(0)
    world.pass_time(PERIOD)
    governor.wait()


def test_a_standby_that_had_nothing_to_replay_between_two_phases_is_not_stuck() -> None:
    """It was asked when it had just replayed what the first look wrote."""
    world, rules = World(speed=0, replays=0), Limits(replica_lag=10).rules()
    first, second = (Governor(rules, world.look, lambda: world.now) for _ in range(2))
    world.replayed += MESSAGE
    first.may_start(0)
    world.now += 1200
    second.may_start(0)


@pytest.mark.parametrize("limits", [Limits(replica_lag=0), Limits(wal_rate=-1), Limits(replica_lag=math.nan)])
def test_a_limit_of_nothing_is_refused(limits: Limits) -> None:
    with pytest.raises(UsageError, match="Give a value above 0"):
        limits.check()


def test_a_lag_that_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--max-replica-lag is 0\.5 s"):
        Limits(replica_lag=0.5).check()
