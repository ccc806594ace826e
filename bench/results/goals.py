"""The goals, as data: which figure of which way is to be how small, beside which other way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.plan import catalogue as plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.plan.way import Way
    from bench.results.figures import Figures

TIME, SERVER_CPU, WORKER = "seconds", "server_cpu", "worker_megabytes"


class Goal(NamedTuple):
    """The maximum that a figure should reach.

    Attributes:
        figure: The name of a figure; or, of a phase, `phases.NAME`.
        way: The way of which it is measured.
        to: The way by whose figure it is divided. None for the figure itself.
        tried: Why it is not reached, and what was tried; shown if it is not.
    """

    name: str
    target: float
    figure: str
    way: Way
    to: Way | None = None
    tried: str = ""


class Judged(NamedTuple):
    """A goal, and its value; None if it was not measured."""

    goal: Goal
    reached: float | None

    @property
    def verdict(self) -> str:
        """Whether it was reached, in a word."""
        if self.reached is None:
            return "not measured"
        return "yes" if self.reached <= self.goal.target else "no"


ONE_PROCESS = (
    "Publish is one transaction, in one process of the server, which maintains the indexes alone; JDBC's connections "
    "share them. --publish parts has no such phase."
)
TWICE = (
    "Publish writes all rows a second time: a quarter of the time, a third of the server's CPU. A load that makes the "
    "table is spared that. Tried without gain: Arrow batches for the JVM's strings, CSV for text, other parts."
)
ENCODING = (
    "Two thirds of the CPU are the client's: reading Parquet, encoding text in the JVM, handing it to Python. Tried "
    "without gain: other ways to encode, Arrow batches for the JVM's strings, CSV for text."
)
INDEXES = (
    "The server maintains the same three indexes for every way. psql's \\copy of ready text over as many connections, "
    "the least that a client can do, takes 0.6 times JDBC's time."
)
SLOW_ALONE = (
    "The client has two cores, and 18 s of CPU or more: over half of the time. ANALYZE takes 4 s in one slow process, "
    "after the commit; JDBC leaves it to autovacuum. Tried: what is named above for the table that the load makes. A "
    "client with more cores was not at hand."
)
ANALYZED = (
    "A third of the time is ANALYZE of 200 columns, after the commit; JDBC leaves it to autovacuum. Without it, the "
    "load takes JDBC's time. Tried: a default_statistics_target of 30 in place of 100, with which ANALYZE takes 1.3 s "
    "of CPU in place of 5.1. The load keeps the role's setting, because a smaller one makes everybody's plans worse."
)
TEXT = (
    "The goal counts on binary COPY, which was measured and not built: it takes 0.85 to 1.07 times the CPU of text, "
    "and up to 2.3 times the bytes. docs/performance.md has the figures."
)
HANDING_OVER = (
    "The server's CPU and Spark's own work with batches that are decoded already are two thirds of JDBC's CPU, so no "
    "decoder reaches it. Tried: binary, from_csv, decimals as text, whole columns as one value."
)
SPLITTING = (
    "More than half of the CPU is Spark's expressions, which split lines and cast fields. Tried: from_csv, which is "
    "slower."
)
MD5 = "MD5 is the cheapest hash that Spark and PostgreSQL before 18 share; docs/performance.md has its parts."

GOALS = (
    Goal("table exists: time, x JDBC", 0.65, TIME, plan.LOAD, plan.JDBC, tried=TWICE),
    Goal("table exists: server CPU, x JDBC", 0.5, SERVER_CPU, plan.LOAD, plan.JDBC, tried=TWICE),
    Goal("makes the table: time, x JDBC", 0.45, TIME, plan.LOAD_MAKES, plan.JDBC, tried=ENCODING),
    Goal("makes the table: server CPU, x JDBC", 0.3, SERVER_CPU, plan.LOAD_MAKES, plan.JDBC, tried=TEXT),
    Goal("parts: time, x JDBC", 0.5, TIME, plan.LOAD_PARTS, plan.JDBC, tried=ENCODING),
    Goal("three indexes: time, x JDBC", 0.6, TIME, plan.INDEXED, plan.JDBC_INDEXED, tried=ONE_PROCESS),
    Goal("parts, three indexes: time, x JDBC", 0.6, TIME, plan.PARTS_INDEXED, plan.JDBC_INDEXED, tried=INDEXES),
    Goal("parts, 16 throttled connections: time, x JDBC", 0.5, TIME, plan.MANY_PARTS, plan.MANY_JDBC, tried=SLOW_ALONE),
    Goal("upsert, 10 % changed: time, x writing all", 0.6, TIME, plan.TENTH, plan.TENTH_WRITES_ALL),
    Goal("replace-partitions: time, x overwrite", 0.5, TIME, plan.YEARS_REPLACED, plan.YEARS_OVERWRITTEN),
    Goal("200 columns: time, x JDBC", 0.65, TIME, plan.WIDE_LOAD, plan.WIDE_JDBC, tried=ANALYZED),
    Goal("16 throttled connections: time, x JDBC", 0.5, TIME, plan.MANY_LOAD, plan.MANY_JDBC, tried=ONE_PROCESS),
    Goal("makes the table, 16 throttled: time, x JDBC", 0.5, TIME, plan.MANY_MAKES, plan.MANY_JDBC, tried=SLOW_ALONE),
    Goal("smallest load after Spark's start, s", 0.7, "phases.load", plan.SMALLEST),
    Goal("verify, table exists: time, x the load", 1.15, TIME, plan.VERIFIED, plan.LOAD, tried=MD5),
    Goal("verify, makes the table: time, x the load", 1.15, TIME, plan.VERIFIED_MAKES, plan.LOAD_MAKES, tried=MD5),
    Goal("quarantine, none bad: time, x the load", 1.1, TIME, plan.NONE_BAD, plan.LOAD),
    Goal("quarantine, one in 10,000 bad: time, x the load", 1.1, TIME, plan.SOME_BAD, plan.LOAD),
    Goal("extract: time, x JDBC", 0.6, TIME, plan.READ_ARROW, plan.READ_JDBC, tried=HANDING_OVER),
    Goal("extract: server CPU, x JDBC", 0.9, SERVER_CPU, plan.READ_ARROW, plan.READ_JDBC),
    Goal("extract: time of pure Python, x JDBC", 0.9, TIME, plan.READ_PURE, plan.READ_JDBC, tried=SPLITTING),
    Goal("compare: time, x extract_table to Parquet", 1.2, TIME, plan.COMPARE, plan.READ_FILES),
    Goal("Python worker of a load, MB", 300, WORKER, plan.LOAD),
    Goal("Python worker of an extract, MB", 300, WORKER, plan.READ_ARROW),
)


def judged(medians: Mapping[Way, Figures], goals: Sequence[Goal] = GOALS) -> list[Judged]:
    """Return the goals with the values reached."""
    return [Judged(goal, reached(goal, medians)) for goal in goals]


def reached(goal: Goal, medians: Mapping[Way, Figures]) -> float | None:
    """Return the value that a goal is about; None if it was not measured."""
    if goal.way not in medians or (goal.to is not None and goal.to not in medians):
        return None
    own = _figure(medians[goal.way], goal.figure)
    return own if goal.to is None else own / _figure(medians[goal.to], goal.figure)


def needed() -> tuple[Way, ...]:
    """Return the ways that the goals are about, in the order of the plan."""
    named = {way for goal in GOALS for way in (goal.way, goal.to)}
    return tuple(way for way in plan.WAYS if way in named)


def _figure(figures: Figures, name: str) -> float:
    if name.startswith("phases."):
        return figures.phases[name.partition(".")[2]]
    value: float = getattr(figures, name)
    return value
