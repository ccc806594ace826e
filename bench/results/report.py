"""The report of the benchmark: figures beside those of JDBC, and the goals. Values in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.machine.samples import DISTURBED
from bench.plan import catalogue
from bench.results import goals
from bench.results.figures import median
from demo_text import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.plan.way import Way
    from bench.results.figures import Figures
    from bench.results.goals import Judged

NOTES = """\
seconds: from reading Parquet to the last commit, or from the first connection to the last row in Spark, after a warm-up
by 1000 rows; the median of the rounds, and how far the rounds lie apart. wall: of the process, with its start.
CPU: user and system, of all processes of a side, in those seconds; other: of the rest of the machine, with this very
measuring. Memory: the most that was resident in those seconds, of the biggest Python worker, of the JVM, of all
processes of the client together (shared pages count in each). WAL: of the server, with the warm-up's."""

HEADINGS = (
    *("way", "rounds", "seconds", "+-", "x JDBC", "server CPU s", "x JDBC", "client CPU s", "other CPU s"),
    *("WAL MB", "worker MB", "JVM MB", "client MB", "wall s"),
)


def text(runs: Mapping[Way, Sequence[Figures]], about: Mapping[str, object]) -> str:
    """Return the whole report."""
    medians = {way: median(of_way) for way, of_way in runs.items()}
    circumstances = "\n".join(f"{name}: {shown(value)}" for name, value in about.items())
    parts = [circumstances]
    for name, (ways, jdbc) in catalogue.TABLES.items():
        of_table = {way: runs[way] for way in ways if way in runs}
        if of_table:
            parts += [f"{name}\n{table(of_table, jdbc)}", phases({way: medians[way] for way in of_table})]
    parts += [NOTES, disturbed(medians), verdicts(goals.judged(medians)), tried(goals.judged(medians))]
    return "\n\n".join(part for part in parts if part)


def shown(value: object) -> str:
    """Return a circumstance as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(shown, value))
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def table(runs: Mapping[Way, Sequence[Figures]], jdbc: Way | None) -> str:
    """Return a table of the medians of each way, and their ratios to JDBC's."""
    medians = {way: median(of_way) for way, of_way in runs.items()}
    time = {way: one.seconds for way, one in medians.items()}
    cpu = {way: one.server_cpu for way, one in medians.items()}
    lines = [HEADINGS]
    for way, one in medians.items():
        seconds = (f"{one.seconds:.1f}", half_range(runs[way]), factor(ratio(time, way, jdbc)))
        server_cpu = (f"{one.server_cpu:.1f}", factor(ratio(cpu, way, jdbc)))
        other_cpu = (f"{one.client_cpu:.1f}", f"{one.other_cpu:.1f}")
        memory = (megabytes(one.worker_memory), megabytes(one.jvm_memory), megabytes(one.client_memory))
        sizes = (megabytes(one.wal), *memory)
        lines.append((way.label, str(len(runs[way])), *seconds, *server_cpu, *other_cpu, *sizes, f"{one.wall:.1f}"))
    return aligned(lines)


def half_range(runs: Sequence[Figures]) -> str:
    """Return half of the difference between the slowest and the fastest run; nothing for a single one."""
    seconds = [run.seconds for run in runs]
    return f"{(max(seconds) - min(seconds)) / 2:.1f}" if len(runs) > 1 else ""


def phases(medians: Mapping[Way, Figures]) -> str:
    """Return the phases of the ways that report any."""
    names = list(dict.fromkeys(name for one in medians.values() for name in one.phases))
    lines = [
        (way.label, *(f"{one.phases[name]:.2f}" if name in one.phases else "" for name in names))
        for way, one in medians.items()
        if one.phases
    ]
    if not lines:
        return ""
    return aligned([("seconds of phases", *names), *lines])


def disturbed(medians: Mapping[Way, Figures]) -> str:
    """Return the names of the ways that were disturbed; nothing if the machine was otherwise idle."""
    names = [way.label for way, one in medians.items() if one.disturbance > DISTURBED]
    return f"Disturbed, the machine had other work meanwhile: {'; '.join(names)}." if names else ""


def verdicts(judged: Sequence[Judged]) -> str:
    """Return the goals as text."""
    return aligned([("goal of pgjobs", "target", "reached", ""), *map(_verdict, judged)])


def tried(judged: Sequence[Judged]) -> str:
    """Return, for each goal that is not reached, why and what was tried."""
    missed = [one.goal for one in judged if one.verdict == "no" and one.goal.tried]
    return "\n".join(f"{goal.name}: {goal.tried}" for goal in missed)


def _verdict(judged: Judged) -> tuple[str, str, str, str]:
    target = f"<= {judged.goal.target:.3g}"
    if judged.reached is None:
        return judged.goal.name, target, judged.verdict, ""
    return judged.goal.name, target, f"{judged.reached:.3g}", judged.verdict.replace("no", "NO")


def ratio(figures: Mapping[Way, float], way: Way, to: Way | None) -> float | None:
    """Return a way's figure as a multiple of another's, None if one was not measured."""
    return figures[way] / figures[to] if way in figures and to in figures and to is not None else None


def factor(ratio: float | None) -> str:
    """Return a ratio as text, if there is one."""
    return "" if ratio is None else f"{ratio:.2f}"


def megabytes(size: float) -> str:
    """Return bytes in MB; nothing for 0."""
    return f"{size / 1e6:,.0f}" if size else ""
