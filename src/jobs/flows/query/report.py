"""The report of a run of SQL, as a summary for people and as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from jobs.dbaccess.errors import plural
from jobs.dbaccess.query.execute import Done, Table
from jobs.flows.report import statements


@dataclass(frozen=True)
class QueryReport:
    """A finished run, or one that had finished before.

    Attributes:
        table: That the marker names.
        statements: What was run, in this order.
        result: The rows of the last statement that returns any; not part of the JSON report.
        already_run: A run with this load id had finished before. Nothing was run.
        target: Where the result was written; empty if it was not.
        rows_written: To the target, by this run.
        seconds: Of all.
    """

    load_id: str
    table: str
    statements: tuple[Done, ...] = ()
    result: Table | None = None
    already_run: bool = False
    seconds: float = 0.0
    target: str = ""
    rows_written: int | None = None

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        values = {name: value for name, value in asdict(self).items() if name != "result"}
        return json.dumps(values, indent=2) + "\n"

    def summary(self) -> str:
        """Return one line for a person."""
        wrote = "" if self.rows_written is None else f"wrote {plural(self.rows_written, 'row')} to {self.target}"
        if self.already_run:
            left = f" An earlier run had left its result: {wrote}." if wrote else ""
            return f"already run: the load id {self.load_id!r} is recorded for {self.table}. Nothing was run.{left}"
        counts = plural(len(self.statements), "statement")
        ran = f"ran {counts} in {self.seconds:.1f} s: {statements(self.statements)}"
        return f"{ran}; {wrote}" if wrote else ran
