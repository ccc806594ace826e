"""The plan of a load: what it would do, as a value that is printed as text and as JSON. Nothing is executed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from jobs.dbaccess.errors import plural
from jobs.dbaccess.load.dry_run.steps import COPY, PUBLISH, Step
from jobs.flows.report import SourceTable

STAGED, ONE_PART = "staged", "one part"
"""How rows become visible, as in the report of the load."""

LOCKS = ("lock", "mode", "until the end of", "keeps out")
"""The columns of `LoadPlan.locks`."""


@dataclass(frozen=True)
class PlannedColumn:
    """A column of the data, and the table's column for it."""

    source: str
    spark_type: str
    column: str
    type_name: str


@dataclass(frozen=True)
class Connections:
    """The connections of a load.

    Attributes:
        at_once: How many parts are copied at once, beside the driver's own connection.
        free: How many the server has free.
        allowed: The most that this user may open.
    """

    at_once: int
    free: int
    allowed: int


@dataclass(frozen=True)
class LoadPlan:
    """What a load would do.

    Attributes:
        already_loaded: Whether a load of this id has finished, so that this one would do nothing.
        is_new: Whether the load creates the table.
        unfilled: Columns of the table that the data does not have: the server fills them.
        changes: Which columns of the table are added or get other types; empty for none.
        limit: How many rows of the table may be deleted; empty if there is no limit.
        parts: How many parts are copied, each in a transaction of its own.
        publish: "staged", or "one part" if the only part is copied straight into the table, in one transaction.
        steps: The statements, in their order.
        source_table: The table of Spark's catalogs that would be read, if it is one.
    """

    table: str
    mode: str
    keys: tuple[str, ...]
    load_id: str
    connections: Connections
    already_loaded: bool = False
    is_new: bool = False
    columns: tuple[PlannedColumn, ...] = ()
    unfilled: tuple[str, ...] = ()
    changes: str = ""
    limit: str = ""
    parts: int = 0
    publish: str = STAGED
    steps: tuple[Step, ...] = ()
    source_table: SourceTable | None = None

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        return json.dumps({"dry_run": True, **asdict(self)}, indent=2) + "\n"

    def line(self) -> str:
        """Return one line."""
        if self.already_loaded:
            return f"{self.table} holds the load {self.load_id!r}: it would do nothing"
        taken = [f"{mode} on {on}" for on, mode, phase, _ in self.locks() if phase in (COPY, PUBLISH)]
        locks = f"; locks: {', '.join(taken)}" if taken else ""
        return f"{plural(len(self.columns), 'column')} for {self.table}, {plural(self.parts, 'part')}{locks}"

    def summary(self) -> str:
        """Return the plan as a text of several lines."""
        return "\n".join(map(printable, self._lines()))

    def _lines(self) -> Iterator[str]:
        new = ", which it creates" if self.is_new else ""
        yield f"plan: {self.what}{new}, load id {self.load_id!r}. Nothing was loaded."
        if self.already_loaded:
            yield "already loaded: a load of this id has finished, and another one does nothing"
            return
        yield ""
        yield from self.source_lines()
        yield from self.column_lines()
        yield from filter(None, [self.limit])
        yield ""
        there = self.connections
        how = f"{there.at_once} at once" if self.publish == STAGED else "small, copied straight into the table"
        yield (
            f"{plural(self.parts, 'part')}, {how}, and a connection for the driver "
            f"({there.free} of {there.allowed} free)"
        )
        yield ""
        yield from statement_lines(self.steps, PUBLISH if self.publish == STAGED else COPY)
        yield ""
        yield from table_lines(LOCKS, self.locks())

    @property
    def what(self) -> str:
        """The mode, the keys and the table."""
        keys = f" by {', '.join(self.keys)}" if self.keys else ""
        return f"{self.mode}{keys} into {self.table}"

    def source_lines(self) -> Iterator[str]:
        """Yield a line that says what would be read, if that is a table."""
        if self.source_table is not None:
            yield f"Reads {self.source_table.told()}."

    def column_lines(self) -> Iterator[str]:
        """Yield lines that say which column of the data goes where."""
        yield from table_lines(
            ("data", "type", "column", "type in PostgreSQL"),
            [(one.source, one.spark_type, one.column, one.type_name) for one in self.columns],
        )
        if self.unfilled:
            yield f"The data does not have {', '.join(self.unfilled)}: filled by the server, by a default or NULL."
        if self.changes:
            yield f"The table changes: {self.changes}."

    def locks(self) -> list[tuple[str, str, str, str]]:
        """Return the locks, each of them once: what is locked, the mode, until when, and who waits."""
        return locks_of(self.steps)


def locks_of(steps: Iterable[Step]) -> list[tuple[str, str, str, str]]:
    """Return the locks of steps, each of them once: what is locked, the mode, until when, and who waits."""
    return list(dict.fromkeys((lock.on, lock.mode, step.phase, lock.waits) for step in steps for lock in step.locks))


def statement_lines(steps: Iterable[Step], transaction: str) -> Iterator[str]:
    """Yield the statements. The phase is before its first one.

    Args:
        steps: The steps.
        transaction: The phase that is one transaction, with the marker, and is shown as such.
    """
    for phase, of_phase in groupby(steps, key=lambda step: step.phase):
        shown = [line for step in of_phase for line in _statement(step)]
        shown = ["BEGIN;", *shown, "COMMIT;"] if phase == transaction else shown
        for place, line in enumerate(shown):
            yield f"{phase if place == 0 else '':9}{line}"


def printable(line: str) -> str:
    """Return a line without control characters, which names may contain, and which could move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in line)


def _statement(step: Step) -> Iterator[str]:
    if step.condition:
        yield f"-- {step.condition}:"
    yield from f"{step.statement};".splitlines()
    if step.values:
        yield f"-- values: {', '.join(map(repr, step.values))}"


def table_lines(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    widths = [max(map(len, column)) for column in zip(heading, *rows)]
    for row in (heading, *rows):
        yield "  ".join(f"{text:{width}}" for text, width in zip(row, widths)).rstrip()
