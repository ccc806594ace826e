"""The process of one way: warms up, runs once, and reports start and end.

    spark-submit bench/ways/run_once.py MODULE TASK RESULT

The clock starts after a thousand rows in the same way, so that the start of Spark or Python does not count.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from bench.machine.address import Server
from bench.machine.samples import PAUSE
from bench.tpch.names import WARM_UP_TABLE
from bench.ways.task import Task


def main(module: str, task_json: str, result: str) -> None:
    """Run the way, and write start, end and the seconds of the phases."""
    run = import_module(f"bench.ways.{module}").run
    task = read_task(task_json)
    run(replace(task, table=WARM_UP_TABLE, folder=f"{task.folder}/sample"))
    time.sleep(PAUSE)
    start = time.monotonic()
    phases = run(task)
    end = time.monotonic()
    time.sleep(PAUSE)
    Path(result).write_text(json.dumps({"start": start, "end": end, "phases": phases}))


def read_task(text: str) -> Task:
    """Read a task from JSON."""
    values = json.loads(text)
    return Task(**{**values, "server": Server(**values["server"]), "flags": tuple(values["flags"])})


if __name__ == "__main__":
    main(*sys.argv[1:])
