"""Fuzzes one target in this process: `python -m fuzz.explore NAME SECONDS`.

Atheris must instrument the code before it is imported, so nothing of ours is imported at the top.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

if TYPE_CHECKING:
    from fuzz.target import Target

SERVER = "TEST_DATABASE_URL"
"""The variable with the URL of the server to use."""

FOUND = Path("build/fuzz")
"""Values that failed, and values that reached new code."""

SLOW = 20
"""Seconds that a single value may take."""


def explore(name: str, seconds: int) -> None:
    """Fuzz. Values that failed before are tried first.

    Raises:
        Exception: What was found, with the simplest value that shows it in a note.
    """
    with ExitStack() as stack:
        target = find(name, stack)
        found = DirectoryBasedExampleDatabase(FOUND / "examples")
        end = time.monotonic() + seconds
        target.explore(target.examples, found)
        if find_spec("atheris") and target.guided:
            guided(target, seconds, found)
        while time.monotonic() < end:
            target.explore(target.examples, found)


def find(name: str, stack: ExitStack) -> Target:
    """Return a target. If it uses a server, its session lasts until the stack is closed."""
    if find_spec("atheris"):
        import atheris

        watched = atheris.instrument_imports(include=["jobs"])
    else:
        watched = nullcontext()
    with watched:
        from fuzz import loading, server
        from fuzz.targets import TARGETS
        from jobs.dbaccess.conninfo.resolve import resolve
        from jobs.dbaccess.conninfo.sources import Given
        from jobs.dbaccess.load.ledger import LUIGIS
        from jobs.dbaccess.postgres_connectivity import connect
    if name in TARGETS:
        return TARGETS[name]
    settings = resolve(Given(url=os.environ[SERVER]), {}).settings
    session = stack.enter_context(connect(settings, "fuzz"))
    if name in loading.NAMES:
        LUIGIS.ensure(session)
        return loading.target(name, session, settings)
    return server.targets(session)[name]


def guided(target: Target, seconds: int, found: ExampleDatabase) -> None:
    """Have Atheris search for values that reach new code. It ends this process."""
    import atheris

    def told(value: object) -> None:
        try:
            target.check(value)
        except BaseException:
            print(f"{target.name}: {value!r}", file=sys.stderr)
            raise

    corpus = FOUND / "corpus" / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOW}",
        "-len_control=0",
        f"-artifact_prefix={FOUND}/{target.name}-",
    ]
    fuzzed = replace(target, check=told).property(database=found)
    atheris.Setup([sys.argv[0], *limits, str(corpus)], fuzzed.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    explore(sys.argv[1], int(sys.argv[2]))
