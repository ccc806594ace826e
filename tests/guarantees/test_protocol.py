"""The protocol of a load as a model, checked over all interleavings of what may happen, within the bounds below.

A state is a value, and `steps` gives all states that may follow it. The model assumes:

- of PostgreSQL: a transaction is atomic and isolated; locks and advisory locks exclude, and end with their session; who
  inserts a row with the key of another transaction's waits until that has ended; a crash ends all sessions and empties
  unlogged tables;
- of Spark: it accepts at most one attempt at each part, and none whose input was cut; an attempt that it has given
  up may go on all the same.

What the protocol does beyond that, it does itself. `Protocol` can leave each of these things out, and then the promise
is broken: so the checks can fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pytest


@dataclass(frozen=True)
class Protocol:
    """What the protocol rests on; a field that is False leaves it out."""

    only_accepted_attempts: bool = True
    lock_before_claims_are_read: bool = True
    counts_are_checked: bool = True
    load_id_is_locked: bool = True
    marker_is_written_first: bool = True
    marker_in_the_same_transaction: bool = True
    marker_is_heeded: bool = True
    kept_staging_is_renamed: bool = True
    kept_rows_are_compared: bool = True
    attempts_know_their_end: bool = True


@dataclass(frozen=True)
class Bounds:
    """How much may happen.

    Attributes:
        sidecar: another session than the one that publishes holds the load id, as in pgcopy, and may end at any moment.
        keeps: staging stays when a driver fails, and the next one takes it over (--keep-staging).
    """

    drivers: int
    parts: int
    attempts: int
    crashes: int = 1
    sidecar: bool = False
    keeps: bool = False


@dataclass(frozen=True, order=True)
class Attempt:
    """An attempt at a part.

    Attributes:
        state: "copying", "claimed" (its transaction was committed) or "ended" (it was not).
        whole: all rows of the part are there.
        accepted: Spark told the driver of this attempt.
    """

    part: int
    state: str = "copying"
    whole: bool = True
    accepted: bool = False


@dataclass(frozen=True)
class Driver:
    """A run of the load.

    Attributes:
        state: "waiting" for the load id, "copying", "publishing" (staging is locked), "checked" (the claims were
            read), "unsure" (the connection broke at COMMIT), "done", "failed", "refused" (the load was there already).
        emptied: a crash emptied its staging.
        dropped: a publish of its own has dropped its staging.
        counted, discarded: of the attempts, those whose claims publish counted, and those whose rows it deleted.
        open: what the transaction of a session whose connection broke may still commit; None where it has ended.
    """

    state: str = "waiting"
    attempts: tuple[Attempt, ...] = ()
    emptied: bool = False
    dropped: bool = False
    counted: tuple[Attempt, ...] = ()
    discarded: tuple[Attempt, ...] = ()
    open: tuple[bool | None, ...] | None = None

    @property
    def has_written_the_marker(self) -> bool:
        """Whether a transaction of its is open that has inserted the marker."""
        return self.state in ("publishing", "checked") or self.open is not None

    def having(self, attempts: Iterable[Attempt]) -> Driver:
        """The same driver with these attempts, in an order that does not tell one from its equal."""
        return replace(self, attempts=tuple(sorted(attempts)))


_ENDED = ("done", "failed", "refused")


@dataclass(frozen=True)
class Kept:
    """Staging without a driver.

    Attributes:
        attempts: those of the driver that failed. Their tasks may go on.
        emptied: a crash emptied it.
    """

    attempts: tuple[Attempt, ...] = ()
    emptied: bool = False


@dataclass(frozen=True)
class State:
    """Everything.

    Attributes:
        published: for each publish that was committed, whether it brought each part whole: True, False, or None for
            a part that it did not bring.
        holder: the driver that holds the load id.
        kept: staging that waits for a driver.
        stale: attempts of an earlier driver that find the staging of a later one, as it was not renamed.
    """

    drivers: tuple[Driver, ...]
    published: tuple[tuple[bool | None, ...], ...] = ()
    marker: bool = False
    holder: int | None = None
    crashes: int = 0
    kept: Kept | None = None
    stale: tuple[Attempt, ...] = ()


def steps(state: State, protocol: Protocol, bounds: Bounds) -> Iterator[State]:
    """All states that may follow."""
    for place, driver in enumerate(state.drivers):
        for changed in _attempts_go_on(driver, protocol, bounds):
            yield _with(state, place, changed)
        yield from _driver_goes_on(state, place, driver, protocol, bounds)
        yield from _stale_attempts_go_on(state, place, driver)
    if state.kept is not None:
        yield from _kept_attempts_go_on(state, state.kept, protocol)
    if state.crashes < bounds.crashes:
        yield _crash(state)


def _with(state: State, place: int, driver: Driver) -> State:
    drivers = (*state.drivers[:place], driver, *state.drivers[place + 1 :])
    return replace(state, drivers=drivers)


def _attempts_go_on(driver: Driver, protocol: Protocol, bounds: Bounds) -> Iterator[Driver]:
    """Attempts begin, are cut, claim or end, and Spark accepts some."""
    if driver.state == "copying":
        for part in range(bounds.parts):
            if sum(attempt.part == part for attempt in driver.attempts) < bounds.attempts:
                yield driver.having([*driver.attempts, Attempt(part)])
    locked = driver.state in ("publishing", "checked") and protocol.lock_before_claims_are_read
    for place, attempt in enumerate(driver.attempts):
        sure = bounds.keeps and protocol.attempts_know_their_end
        for changed in _attempt_goes_on(driver, attempt, locked=locked, sure=sure):
            yield driver.having([*driver.attempts[:place], changed, *driver.attempts[place + 1 :]])


def _kept_attempts_go_on(state: State, kept: Kept, protocol: Protocol) -> Iterator[State]:
    """The tasks of a driver that is dead, or thought to be, claim parts in the staging that it has left."""
    for place, attempt in enumerate(kept.attempts):
        for changed in _attempt_goes_on(Driver("lost"), attempt, locked=False, sure=protocol.attempts_know_their_end):
            others = [*kept.attempts[:place], changed, *kept.attempts[place + 1 :]]
            yield replace(state, kept=replace(kept, attempts=tuple(sorted(others))))


def _stale_attempts_go_on(state: State, place: int, driver: Driver) -> Iterator[State]:
    """They take themselves for attempts of the later run that have the same numbers, and so does everybody else."""
    for number, attempt in enumerate(state.stale):
        if driver.state == "copying":
            claimed = driver.having([*driver.attempts, replace(attempt, state="claimed", accepted=True)])
            yield replace(_with(state, place, claimed), stale=state.stale[:number] + state.stale[number + 1 :])


def _attempt_goes_on(driver: Driver, attempt: Attempt, *, locked: bool, sure: bool = False) -> Iterator[Attempt]:
    if attempt.state == "copying":
        yield replace(attempt, state="ended")
        if not locked and driver.state not in _ENDED:
            yield replace(attempt, state="claimed")
            if not sure:
                yield replace(attempt, state="claimed", whole=False)
    accepted = any(other.accepted and other.part == attempt.part for other in driver.attempts)
    if driver.state == "copying" and attempt.state == "claimed" and attempt.whole and not accepted:
        yield replace(attempt, accepted=True)


def _driver_goes_on(state: State, place: int, driver: Driver, protocol: Protocol, bounds: Bounds) -> Iterator[State]:
    free = state.holder in (None, place) or not protocol.load_id_is_locked
    if driver.state == "waiting" and free:
        yield from _begin(replace(state, holder=place), place, driver, protocol)
    if driver.state not in ("waiting", *_ENDED):
        # Killed, or it gave up. What it held is free, and what it staged is kept or swept.
        stays = bounds.keeps and driver.attempts and not driver.dropped
        kept = Kept(driver.attempts, driver.emptied) if stays else state.kept
        yield replace(_end(state, place, "failed"), kept=kept)
    if driver.open is not None:
        yield from _former_session_ends(state, place, driver, driver.open)
    if bounds.sidecar and state.holder == place:
        yield replace(state, holder=None)  # the sidecar ends
    if driver.state == "copying" and sum(attempt.accepted for attempt in driver.attempts) == bounds.parts:
        yield from _begin_to_publish(state, place, driver, protocol, bounds)
    if driver.state == "unsure" and driver.open is None:  # its transaction keeps staging and marker locked
        unsettled = replace(driver, counted=(), discarded=())
        yield from _begin_to_publish(state, place, unsettled, protocol, bounds)
    if driver.state == "publishing":
        yield from _read_claims(state, place, driver, protocol, bounds)
    if driver.state == "checked":
        yield from _commit(state, place, driver, protocol, bounds)


def _begin(state: State, place: int, driver: Driver, protocol: Protocol) -> Iterator[State]:
    """Copy, unless the load is there; take over what an earlier driver has kept, when nobody has it locked."""
    if state.marker:
        yield replace(_end(state, place, "done"), kept=None)
    elif state.kept is None:
        yield _with(state, place, replace(driver, state="copying"))
    elif not any(other.open is not None for other in state.drivers):
        yield _taken_over(state, place, driver, state.kept, protocol)


def _taken_over(state: State, place: int, driver: Driver, kept: Kept, protocol: Protocol) -> State:
    """One claim of each part counts, whichever. What was not claimed can be claimed no more."""
    state = replace(state, kept=None)
    if kept.emptied and protocol.kept_rows_are_compared:
        return _with(state, place, replace(driver, state="copying"))
    claimed = [attempt for attempt in kept.attempts if attempt.state == "claimed"]
    counting = {attempt.part: attempt for attempt in claimed}
    others = Counter(claimed) - Counter(counting.values())
    attempts = [*(replace(one, accepted=True) for one in counting.values()), *others.elements()]
    resumed = replace(driver.having(attempts), state="copying", emptied=kept.emptied)
    if not protocol.kept_staging_is_renamed:
        state = replace(state, stale=tuple(one for one in kept.attempts if one.state == "copying"))
    return _with(state, place, resumed)


def _begin_to_publish(state: State, place: int, driver: Driver, protocol: Protocol, bounds: Bounds) -> Iterator[State]:
    """Hold the load id, or rely on a sidecar; then write the marker, which waits for others that have written it."""
    if not bounds.sidecar:
        if protocol.load_id_is_locked and state.holder not in (None, place):
            return
        state = replace(state, holder=place)
    if not protocol.marker_is_written_first:
        yield _with(state, place, replace(driver, state="publishing"))
    elif state.marker:
        yield _end(state, place, "done" if protocol.marker_is_heeded else "refused")
    elif not any(other.has_written_the_marker for other in state.drivers):
        yield _with(state, place, replace(driver, state="publishing"))


def _former_session_ends(state: State, place: int, driver: Driver, brought: tuple[bool | None, ...]) -> Iterator[State]:
    """The transaction of a connection that broke is rolled back or committed, whatever its driver does meanwhile."""
    released = replace(state, holder=None if state.holder == place else state.holder)
    yield _with(released, place, replace(driver, open=None))
    if not state.marker:
        committed = _with(released, place, replace(driver, open=None, dropped=True))
        yield replace(committed, published=(*state.published, brought), marker=True, kept=None)


def _end(state: State, place: int, how: str) -> State:
    released = replace(state, holder=None if state.holder == place else state.holder)
    return _with(released, place, Driver(how, open=state.drivers[place].open))


def _read_claims(state: State, place: int, driver: Driver, protocol: Protocol, bounds: Bounds) -> Iterator[State]:
    claimed = [attempt for attempt in driver.attempts if attempt.state == "claimed"]
    if protocol.only_accepted_attempts:
        counted = tuple(attempt for attempt in claimed if attempt.accepted)
    else:  # one claim of each part, whichever
        counted = tuple({attempt.part: attempt for attempt in reversed(claimed)}.values())
    if driver.dropped:
        yield _end(state, place, "refused")  # there are no tables to lock
    elif driver.emptied and protocol.counts_are_checked and protocol.kept_rows_are_compared:
        yield _end(state, place, "failed")
    elif len(counted) == bounds.parts:
        discarded = tuple((Counter(claimed) - Counter(counted)).elements())
        yield _with(state, place, replace(driver, state="checked", counted=counted, discarded=discarded))
    else:
        yield _end(state, place, "failed")


def _commit(state: State, place: int, driver: Driver, protocol: Protocol, bounds: Bounds) -> Iterator[State]:
    """The marker and the rows become visible at once, or not at all. If the connection breaks, nobody knows which."""
    brought = _brought(driver, protocol, bounds)
    yield _with(state, place, replace(driver, state="unsure", open=brought))
    if state.marker:  # its primary key is taken
        yield _end(state, place, "done" if protocol.marker_is_heeded else "refused")
        return
    rows = replace(state, published=(*state.published, brought))
    if not protocol.marker_in_the_same_transaction:
        yield _end(rows, place, "failed")  # killed between the two
    yield _end(replace(rows, marker=True), place, "done")


def _brought(driver: Driver, protocol: Protocol, bounds: Bounds) -> tuple[bool | None, ...]:
    """What a publish moves: without the lock, also what was claimed since the claims were read."""
    if driver.emptied:
        return (None,) * bounds.parts
    moved = Counter(driver.counted)
    if not protocol.lock_before_claims_are_read:
        moved = Counter(attempt for attempt in driver.attempts if attempt.state == "claimed")
        moved -= Counter(driver.discarded)
    of_part = [[attempt for attempt in moved.elements() if attempt.part == part] for part in range(bounds.parts)]
    return tuple(len(some) == 1 and some[0].whole if some else None for some in of_part)


def _crash(state: State) -> State:
    """The server crashes: sessions end, attempts that copied are undone, unlogged tables are empty."""
    drivers = tuple(
        replace(
            driver,
            state="unsure" if driver.state in ("publishing", "checked") else driver.state,
            emptied=driver.emptied or bool(driver.attempts),
            open=None,
            attempts=tuple(sorted(_crashed(attempt) for attempt in driver.attempts)),
        )
        for driver in state.drivers
    )
    kept = state.kept
    if kept is not None:
        kept = Kept(tuple(sorted(_crashed(attempt) for attempt in kept.attempts)), emptied=True)
    return replace(state, drivers=drivers, holder=None, crashes=state.crashes + 1, kept=kept, stale=())


def _crashed(attempt: Attempt) -> Attempt:
    return replace(attempt, state="ended") if attempt.state == "copying" else attempt


def wrong(state: State) -> str:
    """What a state breaks of the promise; empty for nothing."""
    if len(state.published) > 1:
        return "the load was published twice"
    if any(part is not True for load in state.published for part in load):
        return "a part is missing, cut or doubled"
    if bool(state.published) != state.marker:
        return "the marker does not tell the truth"
    if any(driver.state == "done" for driver in state.drivers) and not state.published:
        return "a run said that it was done, and nothing is there"
    if any(driver.state == "refused" for driver in state.drivers):
        return "a run copied everything and failed, for the load was there already"
    return ""


def explore(protocol: Protocol, bounds: Bounds) -> tuple[int, str]:
    """Visit all states, or those before the first that is wrong; how many there are, and what is wrong with one."""
    first = State((Driver(),) * bounds.drivers)
    seen, waiting = {first}, [first]
    while waiting:
        state = waiting.pop()
        complaint = wrong(state)
        if complaint:
            return len(seen), complaint
        for following in steps(state, protocol, bounds):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return len(seen), ""


ONE_DRIVER = Bounds(drivers=1, parts=2, attempts=3)
TWO_DRIVERS = Bounds(drivers=2, parts=1, attempts=2)
TWO_THAT_KEEP = Bounds(drivers=2, parts=2, attempts=1, keeps=True)
TWO_THAT_KEEP_CLAIMS = Bounds(drivers=2, parts=1, attempts=2, keeps=True)
TWO_SIDECARS = Bounds(drivers=2, parts=1, attempts=2, sidecar=True)


@pytest.mark.parametrize(
    "bounds",
    [ONE_DRIVER, TWO_DRIVERS, TWO_SIDECARS, TWO_THAT_KEEP, TWO_THAT_KEEP_CLAIMS],
    ids=[
        "one driver, three attempts",
        "two drivers",
        "two sidecars",
        "two that keep staging",
        "two that keep several claims",
    ],
)
def test_no_interleaving_loses_or_doubles_a_row(bounds: Bounds) -> None:
    states, complaint = explore(Protocol(), bounds)
    assert complaint == ""
    assert states > 5_000, f"{states}: a model in which little can happen proves little"


@pytest.mark.parametrize(
    ("left_out", "bounds"),
    [
        ("only_accepted_attempts", ONE_DRIVER),
        ("lock_before_claims_are_read", ONE_DRIVER),
        ("counts_are_checked", ONE_DRIVER),
        ("marker_is_written_first", ONE_DRIVER),
        ("marker_in_the_same_transaction", TWO_DRIVERS),
        ("marker_is_heeded", TWO_DRIVERS),
        ("kept_staging_is_renamed", replace(TWO_THAT_KEEP, crashes=0)),
        ("kept_rows_are_compared", TWO_THAT_KEEP),
        ("attempts_know_their_end", replace(TWO_THAT_KEEP, crashes=0)),
    ],
)
def test_without_this_the_promise_is_broken(left_out: str, bounds: Bounds) -> None:
    _, complaint = explore(replace(Protocol(), **{left_out: False}), bounds)
    assert complaint


def test_the_lock_of_the_load_id_saves_work_and_the_promise_does_not_rest_on_it() -> None:
    _, complaint = explore(replace(Protocol(), load_id_is_locked=False), TWO_DRIVERS)
    assert complaint == ""
