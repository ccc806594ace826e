"""Run all ways to load and to read TPC-H's lineitem, repeatedly if requested, and compare them.

Run by `make bench`. The report is printed, and written as JSON to build/bench/.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import data, database, measure, report
from bench.errors import BenchError
from bench.figures import Figures, median
from bench.jdbc_jar import PACKAGE, find_jar
from bench.plan import NEED_JAR, Way, choose
from jobs.dbaccess.errors import JobError
from servermgr.errors import DatabaseException

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench"


def main() -> int:
    """Run the benchmark. Return the exit status, which a missed goal does not change."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="bench", description="Load and read TPC-H's lineitem in every way, and compare."
    )
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H's scale factor; 1 is 6,001,215 rows")
    parser.add_argument(
        "--only",
        metavar="TEXT",
        default="",
        help="ways whose name contains this, or one of several (a|b); default: all",
    )
    parser.add_argument("--repeats", type=int, default=1, help="rounds through all ways; the median counts")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server's folder is removed
    try:
        run(options.scale, options.repeats, options.only)
    except (BenchError, DatabaseException, JobError, OSError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    return 0


def run(scale: float, repeats: int, only: str = "") -> None:
    """Generate the data, run the ways whose name contains a text, and report."""
    load_before = os.getloadavg()
    folder = FOLDER / f"scale-{scale:g}"
    print(f"bench: lineitem of scale {scale:g} in {folder}", flush=True)
    rows = data.make(folder, scale)
    jar = find_jar()
    if jar is None:
        print(f"bench: skipped, all by JDBC: there is no jar, and {PACKAGE} could not be installed")
    ways = [way for way in choose(only) if way not in NEED_JAR or jar is not None]
    with database.server() as manager:
        setting = measure.Setting(manager, folder, rows, jar)
        about = {"data": {"scale": scale, "rows": rows.rows, "repeats": repeats}, **setting.about()}
        runs = measure_all(ways, repeats, setting)
    about["machine"] = {"cores": os.cpu_count(), "load before": load_before, "load after": os.getloadavg()}
    tell(runs, about, rows.rows)


def measure_all(ways: Sequence[Way], repeats: int, setting: measure.Setting) -> dict[Way, list[Figures]]:
    """Run the ways in turn, round after round, so that a slow minute of the machine does not affect only one."""
    runs: dict[Way, list[Figures]] = defaultdict(list)
    for number in range(repeats):
        for way in ways:
            print(f"bench: {number + 1}/{repeats} {way.label} ...", end="", flush=True)
            one = measure.measure_quietly(way, setting)
            print(f" {one.seconds:.1f} s", flush=True)
            runs[way].append(one)
    return runs


def tell(runs: dict[Way, list[Figures]], about: dict[str, object], rows: int) -> None:
    """Print the report, and write it to a file."""
    medians = {way: median(of_way) for way, of_way in runs.items()}
    print(f"\n{report.text(medians, about, rows)}\n")
    path = FOLDER / f"{datetime.now().astimezone():%Y-%m-%dT%H%M%S}.json"
    path.write_text(json.dumps(report.as_json(runs, about), indent=2) + "\n")
    print(f"bench: written to {path}")


if __name__ == "__main__":
    sys.exit(main())
