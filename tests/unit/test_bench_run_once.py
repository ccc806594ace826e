from __future__ import annotations

import json
from dataclasses import asdict

from bench.machine.address import Server
from bench.ways.run_once import read_task
from bench.ways.task import Task


def test_a_task_survives_its_way_to_another_process() -> None:
    task = Task(Server("127.0.0.1", 5432, "me", "db"), "lineitem", "/data", "psql", arrow=True, flags=("--verify",))
    assert read_task(json.dumps(asdict(task))) == task
