"""Fuzz all targets, or one, each for some seconds.

Run by `make fuzz`; `SECONDS=600 TARGET=uri make fuzz` runs one of them. Atheris is used if it is installed, otherwise
only Hypothesis. Input that failed is tried first by the next run, and printed in its simplest form.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from fuzz import loading, server
from fuzz.explore import FOUND, SERVER
from fuzz.targets import TARGETS
from servermgr.postgres import Manager

GRACE = 60
"""Additional seconds for a target to start, and to simplify what it found."""

GRACE_OF_LOADS = 400
"""The same where each value is a load: Hypothesis simplifies for 300 s at most."""


def main(arguments: Sequence[str]) -> int:
    """Fuzz. The exit status is 1 if something was found."""
    parser = argparse.ArgumentParser(
        prog="fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each target; default: 60")
    parser.add_argument("--target", default="", help="one target alone, by its name; default: all")
    options = parser.parse_args(arguments)
    names = [*TARGETS, *server.TARGETS, *loading.NAMES]
    if options.target and options.target not in names:
        print(f"fuzz: there is no target {options.target}. There are {', '.join(names)}.", file=sys.stderr)
        return 2
    chosen = [options.target] if options.target else names
    engine = "Atheris" if find_spec("atheris") else "Hypothesis"
    print(f"fuzz: {len(chosen)} targets, {options.seconds} s each, by {engine}; what is found is kept in {FOUND}")
    with a_server() as url:
        failed = [name for name in chosen if not goes_well(name, options.seconds, url)]
    print(f"fuzz: found something in {', '.join(failed)}" if failed else "fuzz: found nothing")
    return 1 if failed else 0


@contextmanager
def a_server() -> Iterator[str]:
    """Yield the URL of the server to use: TEST_DATABASE_URL, or else a server of our own."""
    if os.environ.get(SERVER):
        yield os.environ[SERVER]
        return
    with tempfile.TemporaryDirectory(prefix="pgjobs-fuzz-") as directory:
        Path(directory).chmod(0o755)  # as root, the server runs as another user
        with Manager("127.0.0.1", 0, f"{directory}/data", initialize=True, settings={"fsync": "off"}) as manager:
            yield manager.url()


def goes_well(name: str, seconds: int, url: str) -> bool:
    """Run a target in a process of its own, which Atheris ends, and a finding may. Return whether nothing was found."""
    FOUND.mkdir(parents=True, exist_ok=True)
    log = FOUND / f"{name}.log"
    command = [sys.executable, "-m", "fuzz.explore", name, str(seconds)]
    start = time.monotonic()
    grace = GRACE_OF_LOADS if name in loading.NAMES else GRACE
    with log.open("w") as out:
        try:
            completed = subprocess.run(
                command,
                env={**os.environ, SERVER: url},
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=seconds + grace,
                check=False,
            )
            outcome = "well" if completed.returncode == 0 else f"FAILED, see {log}"
        except subprocess.TimeoutExpired:
            outcome = f"FAILED: something takes longer than {grace} s, see {log}"
    print(f"  {name:20} {time.monotonic() - start:6.1f} s  {outcome}", flush=True)
    return outcome == "well"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
