"""Measures one way: prepares a database, runs a process, computes its figures, and checks that all rows are there."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from bench import throttle
from bench.errors import BenchError
from bench.machine import database, watch
from bench.machine.address import Server
from bench.machine.samples import DISTURBED
from bench.places import ROOT
from bench.results import store
from bench.results.figures import figures
from bench.tpch import checks, files, tables
from bench.tpch.names import KEPT_TABLE, PARQUET, TABLE, THREE
from bench.ways.peers import psql
from bench.ways.task import Task
from jobs import load_table
from servermgr import binaries

if TYPE_CHECKING:
    from bench.plan.way import Way
    from bench.results.figures import Figures
    from bench.tpch.files import Totals
    from servermgr.postgres import Manager

RUN_ONCE = str(ROOT / "bench" / "ways" / "run_once.py")
SPARK_OPTIONS = ("--conf", "spark.ui.enabled=false")
ATTEMPTS = 2  # to measure a load without disturbance
PACKAGES = ("pyspark", "pyarrow", "pg8000", "psycopg", "adbc-driver-postgresql", "dlt", "connectorx")


@dataclass(frozen=True)
class Setting:
    """What all ways have in common.

    Attributes:
        folder: The folder of the data.
        rows: The rows that the table must have.
        jar: The jar of the JDBC driver, if there is one.
        busy: Whether to measure at once, on a machine that is not idle.
        scale: TPC-H's scale factor.
    """

    manager: Manager
    folder: Path
    rows: Totals
    jar: Path | None
    busy: bool = False
    scale: float = 1.0

    @property
    def server(self) -> Server:
        """Return the address of the database."""
        return Server(self.manager.host, self.manager.port, self.manager.user, "postgres")

    def about(self) -> dict[str, object]:
        """Return what the figures depend on."""
        return {
            "server": {**database.SERVER_SETTINGS, "all else": "default"},
            "Spark": {"options": SPARK_OPTIONS, "all else": "default"},
            "code": store.code(ROOT / "src"),
            "cores": os.cpu_count(),
            "versions": {
                "PostgreSQL": database.version(self.server),
                "Python": platform.python_version(),
                **{package: version_of(package) for package in PACKAGES},
            },
        }


def missing(way: Way) -> str | None:
    """Return a flag that the way needs and that this version of load_table.py does not have, if there is one."""
    options = {option for action in load_table.build_parser()._actions for option in action.option_strings}  # noqa: SLF001 - argparse has no public access
    return next((flag for flag in way.flags if flag.startswith("--") and flag not in options), None)


def measure_quietly(way: Way, setting: Setting) -> Figures:
    """Run a way until it is undisturbed, at most ATTEMPTS times. The least disturbed run counts.

    Raises:
        BenchError: The way failed, or the table does not contain the data.
    """
    tried = [measure(way, setting)]
    while not setting.busy and tried[-1].disturbance > DISTURBED and len(tried) < ATTEMPTS:
        tried.append(measure(way, setting))
    return min(tried, key=lambda one: one.disturbance)


def measure(way: Way, setting: Setting) -> Figures:
    """Run a way once.

    Raises:
        BenchError: The way failed, or the table does not contain the data.
    """
    server_process = setting.manager.process
    if server_process is None:
        raise BenchError("PostgreSQL does not run")
    folder = files.make_beside(setting.folder, way.data, setting.scale)
    expected = files.totals(folder / PARQUET).times(way.loads) if way.data else setting.rows
    before(way, setting)
    written_before = database.wal(setting.server)
    if not setting.busy:
        watch.wait_for_quiet()
    result = setting.folder / "result.json"
    throttled = throttle.throttled(server_process.pid) if way.throttled else contextlib.nullcontext()
    began = time.monotonic()
    with throttled:
        command_line = command(way, setting, result)
        samples = watch.run(command_line, environment(), setting.folder / "way.log", server_process.pid)
    wall = time.monotonic() - began
    written = database.wal(setting.server) - written_before
    checks.check(setting.server, expected)
    if way.data == THREE:
        checks.check_beside(setting.server, files.rows_beside(folder))
    outcome = json.loads(result.read_text())
    return replace(figures(samples, outcome["start"], outcome["end"], wall=wall, phases=outcome["phases"]), wal=written)


def before(way: Way, setting: Setting) -> None:
    """Bring the tables into the state that the way finds."""
    if (way.reads or way.copies or way.changed is not None) and tables.keep(setting.server):
        psql.run(task(replace(way, data=""), setting, KEPT_TABLE))
    if way.reads:
        if not tables.is_for_reads(setting.server):
            tables.fill_for_reads(setting.server)
        return
    years = () if way.lacks_partitions else tables.YEARS
    made = not way.makes_table
    tables.prepare(setting.server, way.data, make_tables=made, partitioned=way.partitioned, years=years)
    if way.changed is not None:
        tables.fill(setting.server, way.changed)
    if way.indexed:
        tables.index(setting.server, partitioned=way.partitioned)


def command(way: Way, setting: Setting, result: Path) -> list[str]:
    """Return the command that runs a way once."""
    arguments = [RUN_ONCE, way.module, json.dumps(asdict(task(way, setting))), str(result)]
    programs = Path(sys.prefix, "bin")
    if not way.spark:
        return [str(programs / "python"), *arguments]
    jars = ["--jars", str(setting.jar)] if way.needs_jar else []
    spark = [str(programs / "spark-submit"), "--master", f"local[{way.connections}]", *SPARK_OPTIONS]
    return [*spark, *jars, *arguments]


def task(way: Way, setting: Setting, table: str = TABLE) -> Task:
    """Return what a way's process does."""
    return Task(
        setting.server,
        table,
        str(setting.folder / way.data),
        str(binaries.find().bin / "psql"),
        connections=way.connections,
        arrow=way.arrow,
        flags=way.flags,
    )


def environment() -> dict[str, str]:
    """Return the environment of a way: the caller's, without variables that would redirect libpq."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def version_of(package: str) -> str:
    """Return the version of a package, if it is installed: not each Python has each peer."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
