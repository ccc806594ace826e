"""Run all ways to load and to read TPC-H's lineitem, in rounds, and compare them.

Run by `make bench`. The report is printed. The figures are written to build/bench/results after each run: interrupted,
or asked for more rounds or other ways, the benchmark goes on with what is missing, as long as src/ is the same.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from bench import measure
from bench.errors import BenchError
from bench.machine import database
from bench.machine.jdbc_jar import PACKAGE, find_jar
from bench.places import FOLDER, RESULTS
from bench.plan import catalogue
from bench.results import goals, report
from bench.results.store import open_store
from bench.tpch import files
from jobs.dbaccess.errors import JobError
from servermgr.errors import DatabaseException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.plan.way import Way
    from bench.results.store import Store

INTERRUPTED = 130


def main() -> int:
    """Run the benchmark. Return the exit status, which a missed goal does not change."""
    parser = argparse.ArgumentParser(
        prog="bench", description="Load and read TPC-H's lineitem in every way, and compare.", allow_abbrev=False
    )
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H's scale factor; 1 is 6,001,215 rows")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--only",
        metavar="TEXT",
        default="",
        help="ways whose name contains this, or one of several (a|b); default: all",
    )
    which.add_argument("--goals", action="store_true", help="only the ways that the goals are about")
    which.add_argument("--growth", action="store_true", help="only the ways that are compared between scales")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is run; the median counts")
    parser.add_argument("--fresh", action="store_true", help="run again what was run before")
    parser.add_argument(
        "--busy", action="store_true", help="do not wait for an idle machine: to try ways, not to measure them"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server's folder is removed
    try:
        failed = run(options.scale, options.rounds, chosen(options), fresh=options.fresh, busy=options.busy)
    except (BenchError, DatabaseException, JobError, OSError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted. The same command goes on with what is missing.", file=sys.stderr)
        return INTERRUPTED
    return 1 if failed else 0


def chosen(options: argparse.Namespace) -> Sequence[Way]:
    """Return the ways to run."""
    if options.goals:
        return goals.needed()
    return catalogue.GROWTH if options.growth else catalogue.choose(options.only)


def run(scale: float, rounds: int, ways: Sequence[Way], *, fresh: bool = False, busy: bool = False) -> list[Way]:
    """Generate the data, run the ways as often as is missing, and report. Return the ways that failed."""
    load_before = os.getloadavg()
    folder = FOLDER / f"scale-{scale:g}"
    print(f"bench: lineitem of scale {scale:g} in {folder}", flush=True)
    rows = files.make(folder, scale)
    jar = find_jar()
    if jar is None:
        print(f"bench: skipped, all by JDBC: there is no jar, and {PACKAGE} could not be installed")
    for way in ways:
        if measure.missing(way) is not None:
            print(f"bench: skipped, {way.label}: load_table.py has no {measure.missing(way)}")
    ways = [way for way in ways if (not way.needs_jar or jar is not None) and measure.missing(way) is None]
    with database.server() as manager:
        setting = measure.Setting(manager, folder, rows, jar, busy, scale)
        about = {"data": {"scale": scale, "rows": rows.rows}, **setting.about()}
        store = open_store(RESULTS / f"{'busy-' if busy else ''}scale-{scale:g}.json", about, fresh=fresh)
        failed = measure_all(ways, rounds, setting, store)
    load = {"load before": load_before, "load after": os.getloadavg()}
    print(
        f"\n{report.text({way: store.runs[way.label] for way in ways if store.runs[way.label]}, {**about, **load})}\n"
    )
    print(f"bench: written to {store.path}")
    return failed


def measure_all(ways: Sequence[Way], rounds: int, setting: measure.Setting, store: Store) -> list[Way]:
    """Run the ways in turn, round after round, so that a slow minute of the machine does not affect only one.

    Returns:
        The ways that failed, which are not tried again.
    """
    failed: list[Way] = []
    for number in range(1, rounds + 1):
        for way in ways:
            if way in failed or len(store.runs[way.label]) >= number:
                continue
            print(f"bench: {number}/{rounds} {way.label} ...", end="", flush=True)
            try:
                one = measure.measure_quietly(way, setting)
            except BenchError as error:
                print(f" failed: {error}", flush=True)
                failed.append(way)
                continue
            print(f" {one.seconds:.1f} s", flush=True)
            store.add(way.label, one)
    return failed


if __name__ == "__main__":
    sys.exit(main())
