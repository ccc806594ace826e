"""Break real jobs at random, from a seed, and report what was lost.

Run by `make chaos`; `SEED=7 TIMES=1 make chaos` repeats one trial.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from chaos import lanes, report
from chaos.errors import ChaosError
from chaos.judge.verdict import Verdict
from chaos.plan import coverage
from chaos.plan.draw import draw
from chaos.plan.trial import Trial
from chaos.stage import here
from servermgr.errors import DatabaseException, WorkerError


def main(arguments: Sequence[str]) -> int:
    """Run the trials. The exit status is 1 if one of them found something."""
    parser = argparse.ArgumentParser(
        prog="chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="of the first trial, or of each; default: 1")
    parser.add_argument("--times", type=int, default=1, help="trials from each seed on; default: 1")
    parser.add_argument("--lanes", type=int, default=1, help="trials at once, each on a server of its own; default: 1")
    parser.add_argument("--show", action="store_true", help="print what would be tried, and end")
    parser.add_argument("--coverage", action="store_true", help="print how often each job meets each fault, and end")
    options = parser.parse_args(arguments)
    seeds = [first + more for first in options.seed for more in range(options.times)]
    if options.coverage:
        print(coverage.table(map(draw, seeds)))
        return 0
    lacking = here.lacking()
    trials = [draw(seed, lacking) for seed in seeds]
    if options.show:
        print("\n".join(f"{trial.seed:6} {trial}" for trial in trials))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers and drivers are ended
    try:
        return tell(trials, lacking, options.lanes)
    except (ChaosError, DatabaseException, WorkerError, OSError) as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("chaos: interrupted", file=sys.stderr)
        return 130


def tell(trials: Sequence[Trial], lacking: Mapping[str, str], count: int) -> int:
    """Run the trials in `count` lanes, print a line for each, and a summary, also if interrupted."""
    start = time.monotonic()
    verdicts: list[Verdict] = []
    try:
        for verdict in lanes.run_all(trials, count):
            verdicts.append(verdict)
            print(report.line(verdict), flush=True)
    finally:
        if verdicts:
            print(report.summary(verdicts, time.monotonic() - start, here.versions(), lacking), flush=True)
    return 1 if any(verdict.complaints for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
