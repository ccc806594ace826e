"""Run the tests on each pair of versions without a result for this commit, and write the results to the docs.

python -m matrix [--pairs 'core-*python-3.9'...] [--tests tests/unit/test_uri.py...] [--show]
                 [--python 3.9=/path/to/python3.9]...
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from matrix import plan, runs, servers, table
from matrix.environments import ROOT, environment
from matrix.errors import MatrixError
from servermgr.errors import DatabaseException

PAGE = ROOT / "docs" / "versions.md"
BUILD = ROOT / "build" / "matrix"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen trials. The exit status is 1 if a test failed, or a version is not available."""
    options = parser().parse_args(arguments)
    try:
        trials = plan.choose(options.pairs, plan.trials())
        commit = code_commit()
        rows = table.read(PAGE.read_text())
    except (ValueError, OSError, MatrixError) as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    settled = [trial for trial in trials if not options.tests and any(row.settles(trial, commit) for row in rows)]
    for trial in settled:
        print(f"{trial.name}: passed on {commit} already")
    left = [trial for trial in trials if trial not in settled]
    if options.show:
        print("".join(f"{trial.name}: to be run\n" for trial in left), end="")
        return 0
    try:
        passed = [attempt(trial, commit, options) for trial in left]
    except KeyboardInterrupt:
        print("matrix: interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    return 0 if all(passed) else 1


def attempt(trial: plan.Trial, commit: str, options: argparse.Namespace) -> bool:
    """Run one trial, print its result, and store it if the trial was run completely. Return whether it passed."""
    try:
        programs = servers.programs(trial.postgres, BUILD / "servers")
        venv = environment(trial, BUILD, dict(options.pythons))
        arguments = ["--numprocesses", str(options.workers), "--dist", "loadfile", *(options.tests or trial.paths)]
        outcome = runs.run(trial, venv, programs, BUILD / "results", arguments)
    except (MatrixError, DatabaseException, OSError) as error:
        print(f"{trial.name}: not run: {error}", file=sys.stderr)
        return False
    counts = outcome.counts
    result = f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped in {counts.seconds:.0f} s"
    print("\n  ".join([f"{trial.name}: {result}", *outcome.failures]), flush=True)
    if not options.tests:
        day = datetime.now(timezone.utc).date().isoformat()
        row = table.Row(trial.tests, outcome.versions, counts, day, commit)
        PAGE.write_text(table.with_row(PAGE.read_text(), row, plan.trials()))
    return not counts.failed


def code_commit() -> str:
    """Return the last commit that changed more than documents, with "+" if the work tree differs from it."""
    code = ("--", ".", ":(exclude)docs", ":(exclude)*.md")
    changed = git("status", "--porcelain", *code)
    return git("log", "-1", "--format=%h", "--abbrev=10", *code) + ("+" if changed else "")


def git(*arguments: str) -> str:
    """Return the output of git."""
    completed = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if completed.returncode:
        raise MatrixError(f"git does not tell the commit: {completed.stderr.strip()}")
    return completed.stdout.strip()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m matrix", description=__doc__.partition("\n")[0], allow_abbrev=False
    )
    arguments.add_argument(
        "--pairs", nargs="*", default=[], metavar="PATTERN", help="those of such a name; default: all"
    )
    arguments.add_argument(
        "--tests", nargs="*", default=[], metavar="PATH", help="run these instead, and keep no result"
    )
    arguments.add_argument(
        "--workers", type=int, default=2, metavar="N", help="test files at once; default: %(default)s"
    )
    arguments.add_argument("--show", action="store_true", help="tell what would be run")
    arguments.add_argument(
        *("--python",),
        dest="pythons",
        action="append",
        type=interpreter,
        default=[],
        metavar="VERSION=PATH",
        help="an interpreter that is not on PATH",
    )
    return arguments


def interpreter(text: str) -> tuple[str, Path]:
    """Parse 3.9=/path/to/python3.9."""
    version, equals, path = text.partition("=")
    if not equals or version not in plan.PYTHONS:
        raise argparse.ArgumentTypeError(f"{text!r} is not VERSION=PATH, of a version among {', '.join(plan.PYTHONS)}")
    return version, Path(path)


if __name__ == "__main__":
    sys.exit(main())
