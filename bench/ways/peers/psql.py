"""The lower bound: psql sends ready-made text, so that only PostgreSQL's own work remains."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from bench.tpch.names import TEXTS

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load each file by a psql of its own. It reports no phases."""
    with ThreadPoolExecutor(len(TEXTS)) as pool:
        for _ in pool.map(partial(_copy, task), TEXTS):
            pass
    return {}


def _copy(task: Task, text: str) -> None:
    server = task.server
    command = [task.psql, "--no-psqlrc", "--quiet", "--host", server.host, "--port", str(server.port)]
    command += ["--username", server.user, "--dbname", server.dbname]
    command += ["--command", f"\\copy {task.table} FROM '{task.folder}/{text}'"]
    subprocess.run(command, check=True)
