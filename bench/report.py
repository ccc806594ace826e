"""The report of the benchmark: figures beside those of JDBC, and the goals. Values in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from bench import plan
from bench.figures import DISTURBED, median
from demo_text import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Figures
    from bench.plan import Way

TIME_OF_EXISTING, SERVER_CPU_OF_EXISTING = 0.75, 0.65  # x JDBC's
TIME_OF_MADE, SERVER_CPU_OF_MADE = 0.55, 0.45  # x JDBC's
TIME_OF_VERIFYING = 1.15  # x the same load without it
TIME_OF_INDEXED = 0.75  # x JDBC's
TIME_OF_TENTH = 0.6  # x the same upsert that writes all rows
WORKER_MEMORY = 300  # MB
TIME_OF_COMPARING = 1.2  # x an extract to Parquet
TIME_OF_READING, SERVER_CPU_OF_READING, TIME_OF_PURE_READING = 1.2, 1.0, 2.2  # x JDBC's

NOTES = """\
seconds: from reading Parquet to the last commit, or from the first connection to the last row in Spark, after a warm-up
by 1000 rows. wall: of the process, with its start.
CPU: user and system, of all processes of a side, in those seconds; other: of the rest of the machine, with this very
measuring. Memory: the most that was resident in those seconds, of the biggest Python worker, of the JVM, of all
processes of the client together (shared pages count in each). WAL: of the server, with the warm-up's."""


class Goal(NamedTuple):
    """The maximum that a figure should reach, and its value; None if it was not measured."""

    name: str
    target: float
    reached: float | None


def text(medians: Mapping[Way, Figures], about: Mapping[str, object], rows: int) -> str:
    """Return the whole report."""
    circumstances = "\n".join(f"{name}: {shown(value)}" for name, value in about.items())
    loads = {way: one for way, one in medians.items() if not way.reads and not way.indexed}
    indexed = {way: one for way, one in medians.items() if way.indexed}
    reads = {way: one for way, one in medians.items() if way.reads}
    tables = (
        table(loads, rows, plan.JDBC),
        phases(loads),
        table(reads, rows, plan.READ_JDBC),
        table(indexed, rows, plan.JDBC_INDEXED),
        phases(indexed),
    )
    parts = (circumstances, *tables, NOTES, disturbed(medians), verdicts(goals(medians)))
    return "\n\n".join(part for part in parts if part)


def as_json(runs: Mapping[Way, Sequence[Figures]], about: Mapping[str, object]) -> dict[str, object]:
    """Return everything as JSON: the medians, and each run."""
    medians = {way: median(of_way) for way, of_way in runs.items()}
    return {
        **about,
        "ways": {way.label: {**asdict(medians[way]), "runs": list(map(asdict, runs[way]))} for way in runs},
        "goals": [goal._asdict() for goal in goals(medians)],
    }


def shown(value: object) -> str:
    """Return a circumstance as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(shown, value))
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def table(medians: Mapping[Way, Figures], rows: int, jdbc: Way) -> str:
    """Return a table of the figures of each way, and their ratios to JDBC's."""
    time = {way: one.seconds for way, one in medians.items()}
    cpu = {way: one.server_cpu for way, one in medians.items()}
    headings = ("way", "seconds", "rows/s", "x JDBC", "server CPU s", "x JDBC", "client CPU s", "other CPU s")
    if not medians:
        return ""
    lines = [(*headings, "WAL MB", "worker MB", "JVM MB", "client MB", "wall s")]
    for way, one in medians.items():
        seconds = (f"{one.seconds:.1f}", f"{rows / one.seconds:,.0f}", factor(ratio(time, way, jdbc)))
        server_cpu = (f"{one.server_cpu:.1f}", factor(ratio(cpu, way, jdbc)))
        other_cpu = (f"{one.client_cpu:.1f}", f"{one.other_cpu:.1f}")
        memory = (megabytes(one.worker_memory), megabytes(one.jvm_memory), megabytes(one.client_memory))
        sizes = (megabytes(one.wal), *memory)
        lines.append((way.label, *seconds, *server_cpu, *other_cpu, *sizes, f"{one.wall:.1f}"))
    return aligned(lines)


def phases(medians: Mapping[Way, Figures]) -> str:
    """Return the phases of the ways that report any."""
    names = list(dict.fromkeys(name for one in medians.values() for name in one.phases))
    lines = [(way.label, *(f"{one.phases[name]:.1f}" for name in names)) for way, one in medians.items() if one.phases]
    if not lines:
        return ""
    return aligned([("seconds of phases", *names), *lines])


def disturbed(medians: Mapping[Way, Figures]) -> str:
    """Return the names of the ways that were disturbed; nothing if the machine was otherwise idle."""
    names = [way.label for way, one in medians.items() if one.disturbance > DISTURBED]
    return f"Disturbed, the machine had other work meanwhile: {'; '.join(names)}." if names else ""


def goals(medians: Mapping[Way, Figures]) -> list[Goal]:
    """Return the goals with the values reached."""
    time = {way: one.seconds for way, one in medians.items()}
    cpu = {way: one.server_cpu for way, one in medians.items()}
    ours = (plan.LOAD.module, plan.READ_ARROW.module)
    of_made = ratio(time, plan.VERIFIED_MAKES, plan.LOAD_MAKES)
    of_tenth = ratio(time, plan.TENTH, plan.TENTH_WRITES_ALL)
    workers = [one.worker_memory / 1e6 for way, one in medians.items() if way.module in ours]
    return [
        Goal("table exists: time, x JDBC", TIME_OF_EXISTING, ratio(time, plan.LOAD, plan.JDBC)),
        Goal("table exists: server CPU, x JDBC", SERVER_CPU_OF_EXISTING, ratio(cpu, plan.LOAD, plan.JDBC)),
        Goal("makes the table: time, x JDBC", TIME_OF_MADE, ratio(time, plan.LOAD_MAKES, plan.JDBC)),
        Goal("makes the table: server CPU, x JDBC", SERVER_CPU_OF_MADE, ratio(cpu, plan.LOAD_MAKES, plan.JDBC)),
        Goal("verify, table exists: time, x the load", TIME_OF_VERIFYING, ratio(time, plan.VERIFIED, plan.LOAD)),
        Goal("verify, makes the table: time, x the load", TIME_OF_VERIFYING, of_made),
        Goal("extract: time, x JDBC", TIME_OF_READING, ratio(time, plan.READ_ARROW, plan.READ_JDBC)),
        Goal("extract: server CPU, x JDBC", SERVER_CPU_OF_READING, ratio(cpu, plan.READ_ARROW, plan.READ_JDBC)),
        Goal("extract: time of pure Python, x JDBC", TIME_OF_PURE_READING, ratio(time, plan.READ_PURE, plan.READ_JDBC)),
        Goal(
            "compare: time, x extract_table to Parquet", TIME_OF_COMPARING, ratio(time, plan.COMPARE, plan.READ_FILES)
        ),
        Goal("three indexes: time, x JDBC", TIME_OF_INDEXED, ratio(time, plan.INDEXED, plan.JDBC_INDEXED)),
        Goal("upsert, 10 % changed: time, x writing all", TIME_OF_TENTH, of_tenth),
        Goal("biggest Python worker, MB", WORKER_MEMORY, max(workers, default=None)),
    ]


def verdicts(goals: Sequence[Goal]) -> str:
    """Return the goals as text."""
    return aligned([("goal of pgjobs", "target", "reached", ""), *map(_verdict, goals)])


def _verdict(goal: Goal) -> tuple[str, str, str, str]:
    target = f"<= {goal.target:g}"
    if goal.reached is None:
        return goal.name, target, "not measured", ""
    return goal.name, target, f"{goal.reached:.3g}", "yes" if goal.reached <= goal.target else "NO"


def ratio(figures: Mapping[Way, float], way: Way, to: Way) -> float | None:
    """Return a way's figure as a multiple of another's, None if one was not measured."""
    return figures[way] / figures[to] if way in figures and to in figures else None


def factor(ratio: float | None) -> str:
    """Return a ratio as text, if there is one."""
    return "" if ratio is None else f"{ratio:.2f}"


def megabytes(size: float) -> str:
    """Return bytes in MB; nothing for 0."""
    return f"{size / 1e6:,.0f}" if size else ""
