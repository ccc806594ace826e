"""The figures as they are in docs/: tables and pictures, in the place of those that were there. Values in, text out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bench.plan import catalogue
from bench.results import goals
from bench.results.figures import Figures, median
from bench.results.pictures import JDBC, OTHERS, OURS, Bar, Line, bars, lines
from bench.results.report import factor, half_range, megabytes, ratio
from bench.results.store import runs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.plan.way import Way

CAPTURED = ("plain", "captured", "ratio", "goal")
TEN_BILLION = 10_000_000_000
COSTS = (catalogue.LOAD_MAKES, catalogue.LOAD, catalogue.INDEXED, catalogue.ALL, catalogue.TENTH, catalogue.SAME)
"""The ways whose costs for each row are in docs/scaling.md."""

SUMMARY = (
    (catalogue.LOAD_MAKES, catalogue.JDBC),
    (catalogue.LOAD_PARTS, catalogue.JDBC),
    (catalogue.LOAD, catalogue.JDBC),
    (catalogue.INDEXED, catalogue.JDBC_INDEXED),
    (catalogue.READ_ARROW, catalogue.READ_JDBC),
)
"""The ways in the README, each with JDBC's."""

Runs = dict["Way", list[Figures]]


def by_way(stored: Mapping[str, Any]) -> Runs:
    """Return the runs of a stored scale, of those ways that the plan has."""
    runs = runs_of(stored)
    return {way: runs[way.label] for way in catalogue.WAYS if runs.get(way.label)}


def best(scales: Mapping[float, Runs], ways: Iterable[Way]) -> tuple[float, Runs] | None:
    """Return the scale at which most of the ways were measured, the largest of several, and these ways' runs."""
    wanted = list(ways)
    measured = {scale: {way: runs[way] for way in wanted if way in runs} for scale, runs in scales.items()}
    scale = max(measured, key=lambda one: (len(measured[one]), one), default=None)
    return None if scale is None or not measured[scale] else (scale, measured[scale])


def table(runs: Runs, jdbc: Way | None, about: Mapping[str, Any]) -> str:
    """Return a table of the medians as Markdown, and what it was measured on."""
    medians = {way: median(of_way) for way, of_way in runs.items()}
    time = {way: one.seconds for way, one in medians.items()}
    cpu = {way: one.server_cpu for way, one in medians.items()}
    lines = [
        "| way | seconds | ± | x JDBC | publish, s | server CPU, s | x JDBC | client CPU, s | WAL, MB | worker, MB |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|---|"]
    for way, one in medians.items():
        seconds = (f"{one.seconds:.1f}", half_range(runs[way]), factor(ratio(time, way, jdbc)))
        publish = f"{one.phases['publish']:.1f}" if "publish" in one.phases else ""
        server = (f"{one.server_cpu:.1f}", factor(ratio(cpu, way, jdbc)), f"{one.client_cpu:.1f}")
        cells = (way.label, *seconds, publish, *server, megabytes(one.wal), megabytes(one.worker_memory))
        lines.append(_row(cells))
    return "\n".join([*lines, "", _measured_on(runs.values(), about)])


def summary(scales: Mapping[float, Runs], abouts: Mapping[float, Mapping[str, Any]]) -> str | None:
    """Return a short table beside JDBC for the README: of the largest scale at which all of its ways were measured."""
    ways = [way for pair in SUMMARY for way in pair]
    found = best(scales, ways)
    if found is None or set(found[1]) != set(ways):
        return None
    scale, runs = found
    medians = {way: median(of_way) for way, of_way in runs.items()}
    lines = [_row(("way", "seconds", "Spark JDBC, seconds", "time", "server CPU")), "|---|---|---|---|---|"]
    for way, jdbc in SUMMARY:
        own, other = medians[way], medians[jdbc]
        times = (f"{own.seconds:.1f}", f"{other.seconds:.1f}", f"{own.seconds / other.seconds:.2f} x")
        lines.append(_row((way.label, *times, f"{own.server_cpu / other.server_cpu:.2f} x")))
    return "\n".join([*lines, "", _measured_on(runs.values(), abouts[scale])])


def _measured_on(runs: Iterable[Sequence[Figures]], about: Mapping[str, Any]) -> str:
    rounds = [len(of_way) for of_way in runs]
    several = f"{min(rounds)} to {max(rounds)} rounds" if min(rounds) < max(rounds) else f"{min(rounds)} rounds"
    medians = "One round" if max(rounds) == 1 else f"Medians of {several}"
    versions, data = about["versions"], about["data"]
    return (
        f"{medians}; scale {data['scale']:g}, {data['rows']:,} rows; "
        f"{about['cores']} cores; PostgreSQL {versions['PostgreSQL'].split()[0]}, Spark {versions['pyspark']}."
    )


def verdicts(judged: Sequence[tuple[float, goals.Judged]]) -> str:
    """Return the goals as Markdown, each with the scale at which it was measured."""
    lines = ["| goal | at most | reached | | scale |", "|---|---|---|---|---|"]
    for scale, one in judged:
        value = "" if one.reached is None else f"{one.reached:.3g}"
        at = "" if one.reached is None else f"{scale:g}"
        lines.append(_row((one.goal.name, f"{one.goal.target:.3g}", value, one.verdict, at)))
    reasons = [f"- {one.goal.name}: {one.goal.tried}" for _, one in judged if one.verdict == "no" and one.goal.tried]
    return "\n".join([*lines, *(["", "Not reached:", ""] if reasons else []), *reasons])


def costs(scales: Mapping[float, Runs], rows: Mapping[float, int]) -> str:
    """Return what a row costs as Markdown, and what ten billion of them do.

    Args:
        scales: The runs of each scale. Of each way, the largest scale counts at which it was measured.
        rows: How many rows a scale has.
    """
    each = ("rows", "server CPU, µs a row", "publish, in one process", "WAL, bytes a row", "client CPU, µs a row")
    whole = ("10 billion rows: server, core-hours", "publish, hours", "WAL, TB", "client, core-hours")
    lines = [_row(("way", *each, *whole)), f"|{'---|' * 10}"]
    for way in COSTS:
        measured = [scale for scale, runs in scales.items() if way in runs]
        if measured:
            scale = max(measured)
            lines.append(_cost(way, median(scales[scale][way]), rows[scale]))
    return "\n".join(lines)


def _cost(way: Way, one: Figures, rows: int) -> str:
    server, publish, client = (
        seconds / rows for seconds in (one.server_cpu, one.phases.get("publish", 0), one.client_cpu)
    )
    of_row = (f"{server * 1e6:.2f}", f"{publish * 1e6:.2f}", f"{one.wal / rows:.0f}", f"{client * 1e6:.2f}")
    hours = [f"{seconds * TEN_BILLION / 3600:.1f}" for seconds in (server, publish, client)]
    return _row((way.label, f"{rows:,}", *of_row, *hours[:2], f"{one.wal / rows * TEN_BILLION / 1e12:.1f}", hours[2]))


def capture(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of bench.capture as Markdown."""
    rows = [
        _row((line["name"], *("" if line[one] is None else f"{line[one]:.2f}" for one in CAPTURED))) for line in lines
    ]
    return "\n".join([_row(("", *CAPTURED)), "|---|---|---|---|---|", *rows])


def bars_of(title: str, runs: Runs) -> str:
    """Return a picture of the ways' seconds."""
    values = []
    for way, of_way in runs.items():
        seconds = [run.seconds for run in of_way]
        values.append(Bar(way.label, median(of_way).seconds, min(seconds), max(seconds), colour(way)))
    return bars(title, values)


def growth(scales: Mapping[float, Runs]) -> str | None:
    """Return a picture of the seconds for a million rows by scale; None if there is only one scale."""
    rows = 6_001_215
    values = []
    for way in catalogue.GROWTH:
        points = {
            scale: median(runs[way]).seconds / (rows * scale) * 1e6 for scale, runs in scales.items() if way in runs
        }
        if len(points) > 1:
            values.append(Line(way.label, points, colour(way)))
    return lines("Seconds for a million rows, by scale", "scale (1 is 6,001,215 rows)", values) if values else None


def colour(way: Way) -> str:
    """Return the colour of a way."""
    return OURS if way.label.startswith("pg") else JDBC if way.needs_jar else OTHERS


def insert(page: str, name: str, text: str) -> str:
    """Return a page with a text in the place that has a name: between two comments.

    Raises:
        ValueError: The page has no such place.
    """
    place = re.compile(rf"(<!-- figures: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    changed, count = place.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)
    if not count:
        raise ValueError(f"There is no place for the figures {name!r}.")
    return changed


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
