"""Measure what capturing changes costs those who write, and how soon a change is in the copy.

Run by `make bench`, or alone: `python -m bench.capture`. Goals: COPY of a million rows takes at most 1.5 times as long
into a captured table, and at 100 changes a second each is in the copy within a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import psutil

from bench.machine import database
from bench.places import RESULTS
from demo_text import aligned
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.sql import TableName
from jobs.flows.capture.job import CaptureJob, Stop
from jobs.flows.capture.table import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobs.dbaccess.conninfo.settings import Settings
    from jobs.dbaccess.session import Session

COLUMNS = "id bigint PRIMARY KEY, name text, amount numeric(12,2), at timestamptz, note text"
ROWS = "SELECT g, 'name ' || g, g / 7.0, now(), md5(g::text) FROM generate_series(1, {}) AS g"
TABLE, COPY = "orders", "orders_copy"
GOAL_COPY, GOAL_SECONDS = 1.5, 1.0


HEADINGS = ("", "plain", "captured", "ratio", "goal")


class Measured(NamedTuple):
    """A line of the result: a figure without a capture and with one. The goal is about the ratio, else the latter."""

    name: str
    plain: float | None
    captured: float
    ratio: float | None
    goal: float | None

    def cells(self) -> list[str]:
        """Return the figures as text."""
        return ["" if value is None else f"{value:.2f}" for value in self[1:]]


@dataclass(frozen=True)
class Cost:
    """What a piece of work took: wall-clock seconds, and CPU seconds of its server process."""

    seconds: float
    cpu: float


def main() -> int:
    """Measure, and print the result. Return the exit status, which a missed goal does not change."""
    parser = argparse.ArgumentParser(prog="bench.capture", description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of a COPY")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--statements", type=int, default=3_000, help="statements of one row each")
    parser.add_argument("--seconds", type=float, default=30, help="how long to measure delays")
    options = parser.parse_args()
    with database.server() as manager:
        settings = resolve(Given(url=manager.url()), {}).settings
        copy = _copies(settings, options.rows, options.repeats)
        insert = _statements(settings, options.statements, options.repeats)
        lines = [
            *compared(f"COPY of {options.rows:,} rows", *copy, GOAL_COPY),
            *compared(f"{options.statements:,} INSERTs of one row", *insert, None),
            *arrived(_delays(settings, options.seconds)),
        ]
    print(aligned([HEADINGS, *((one.name, *one.cells()) for one in lines)]))
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "capture.json").write_text(json.dumps([one._asdict() for one in lines], indent=1) + "\n")
    return 0


def compared(name: str, plain: Sequence[Cost], captured: Sequence[Cost], goal: float | None) -> list[Measured]:
    """Return what capturing costs: seconds, and CPU."""
    medians = [
        (statistics.median(c.seconds for c in cs), statistics.median(c.cpu for c in cs)) for cs in (plain, captured)
    ]
    (wall, cpu), (wall_captured, cpu_captured) = medians
    return [
        Measured(f"{name}, s", wall, wall_captured, wall_captured / wall, goal),
        # The kernel counts CPU in hundredths of a second, of which a short measurement may have none.
        Measured(f"{name}: CPU, s", cpu, cpu_captured, cpu_captured / cpu if cpu else None, None),
    ]


def arrived(delays: Sequence[float]) -> list[Measured]:
    """Return after which time changes were in the copy."""
    late = sorted(delays)
    name = f"delay of {len(late):,} changes, 100 a second, s"
    return [
        Measured(f"{name}: median", None, late[len(late) // 2], None, None),
        Measured(f"{name}: 99th percentile", None, late[len(late) * 99 // 100], None, GOAL_SECONDS),
    ]


def _copies(settings: Settings, rows: int, repeats: int) -> tuple[list[Cost], list[Cost]]:
    """Measure COPY from a file of the server's, into a table that is not captured and into one that is."""

    def copy(session: Session) -> None:
        session.run(f"COPY {TABLE} FROM PROGRAM 'cat orders.txt'")

    with connect(settings, "bench") as session:
        session.run(f"COPY ({ROWS.format(rows)}) TO PROGRAM 'cat > orders.txt'")
    return _measured(settings, repeats, copy)


def _statements(settings: Settings, count: int, repeats: int) -> tuple[list[Cost], list[Cost]]:
    """Measure transactions of one INSERT, of one row each."""

    def insert(session: Session) -> None:
        for number in range(count):
            session.run(f"INSERT INTO {TABLE} VALUES ({number}, 'a', 1, now(), 'b')")

    return _measured(settings, repeats, insert)


def _measured(settings: Settings, repeats: int, work: Callable[[Session], None]) -> tuple[list[Cost], list[Cost]]:
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(repeats):
        for of_kind, is_captured in zip(costs, (False, True)):
            with connect(settings, "bench") as session:
                session.run(f"DROP TABLE IF EXISTS {TABLE}, {COPY}; CREATE TABLE {TABLE} ({COLUMNS})")
                if is_captured:
                    run(_job(settings, seconds=0), Stop())
                session.run("CHECKPOINT")
                process = psutil.Process(session.backend.pid)
                start, cpu = time.monotonic(), sum(process.cpu_times()[:2])
                work(session)
                of_kind.append(Cost(time.monotonic() - start, sum(process.cpu_times()[:2]) - cpu))
                if is_captured:
                    _drop(session)
    return costs


def _job(settings: Settings, seconds: float | None) -> CaptureJob:
    return CaptureJob(settings, TableName(TABLE), TableName(COPY), seconds=seconds)


def _drop(session: Session) -> None:
    session.run(f"DROP TABLE {TABLE}, public__{TABLE}__pgjobs_c, public__{TABLE}__pgjobs_r")
    session.run(f"DROP FUNCTION public__{TABLE}__pgjobs_n")


def _delays(settings: Settings, seconds: float) -> list[float]:
    """Measure, at 100 changes a second, the time from just before a change until the copy has committed it."""
    with connect(settings, "bench") as session:
        session.run(f"DROP TABLE IF EXISTS {TABLE}, {COPY}; CREATE TABLE {TABLE} ({COLUMNS})")
        session.run(f"INSERT INTO {TABLE} {ROWS.format(10_000)}")
        run(_job(settings, seconds=0), Stop())
        stop = Stop()
        reader = threading.Thread(target=run, args=(_job(settings, seconds=None), stop))
        reader.start()
        time.sleep(1)
        delays = _arrivals(settings, session, seconds)
        stop.request()
        reader.join()
    return delays


def _arrivals(settings: Settings, writer: Session, seconds: float) -> list[float]:
    """Change rows, and return the seconds after which another session saw each change in the copy."""
    made: dict[int, float] = {}
    delays: list[float] = []
    end = time.monotonic() + seconds
    with connect(settings, "bench look") as looker:
        number = 1_000_000
        while time.monotonic() < end or made:
            start = time.monotonic()
            if start < end:
                number += 1
                made[number] = start
                writer.run(f"INSERT INTO {TABLE} VALUES ({number}, 'a', 1, now(), 'b')")
            seen = looker.run(f"SELECT id FROM {COPY} WHERE id >= {min(made, default=number)}")
            now = time.monotonic()
            delays += [now - made.pop(key) for [key] in seen if key in made]
            time.sleep(max(0.0, start + 0.01 - time.monotonic()))
    return delays


if __name__ == "__main__":
    sys.exit(main())
