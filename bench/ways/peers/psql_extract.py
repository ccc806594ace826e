"""The lower bound of reading: psql receives text and discards it."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from bench.tpch.names import CONNECTIONS

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Read, with each psql reading its share of the keys. It reports no phases."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(partial(_copy, task), range(CONNECTIONS)):
            pass
    return {}


def _copy(task: Task, share: int) -> None:
    server = task.server
    command = [task.psql, "--no-psqlrc", "--quiet", "--host", server.host, "--port", str(server.port)]
    command += ["--username", server.user, "--dbname", server.dbname]
    query = f"SELECT * FROM {task.table} WHERE l_orderkey % {CONNECTIONS} = {share}"
    command += ["--command", f"\\copy ({query}) TO '/dev/null'"]
    subprocess.run(command, check=True)
