"""The process of one way: warm up, load once, tell from when to when.

    spark-submit bench/load_once.py MODULE TASK RESULT

The clock starts after a tiny load by the same way, so that no way pays for the start of Spark or Python.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from bench.figures import PAUSE
from bench.plan import WARM_UP_TABLE, Server, Task


def main(module: str, task_json: str, result: str) -> None:
    """Load, and write start, end and the seconds of the phases."""
    load = import_module(f"bench.ways.{module}").load
    task = read_task(task_json)
    load(replace(task, table=WARM_UP_TABLE, folder=f"{task.folder}/sample"))
    time.sleep(PAUSE)
    start = time.monotonic()
    phases = load(task)
    end = time.monotonic()
    time.sleep(PAUSE)
    Path(result).write_text(json.dumps({"start": start, "end": end, "phases": phases}))


def read_task(text: str) -> Task:
    """Read a task from JSON."""
    values = json.loads(text)
    return Task(**{**values, "server": Server(**values["server"])})


if __name__ == "__main__":
    main(*sys.argv[1:])
