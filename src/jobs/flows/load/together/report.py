"""The report of a release: those of its tables, under one load id."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from jobs.dbaccess.errors import plural
from jobs.dbaccess.sql import TableName
from jobs.flows.report import LoadReport, phases_of


@dataclass(frozen=True)
class ReleaseReport:
    """A finished release, or one that had finished before.

    Attributes:
        tables: The reports of the tables, in the order in which they were published. Their seconds are those of their
            own preparation and copy.
        already_loaded: Whether a release of this id had finished, so that this one did nothing.
        seconds: Of the phases prepare, copy, publish and analyze of all tables, and total.
    """

    load_id: str
    tables: tuple[LoadReport, ...]
    already_loaded: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)

    def of(self, table: TableName) -> LoadReport | None:
        """Return the report of a table; None if none, or more than one, has this name without a schema."""
        named = {TableName.parse(report.table): report for report in self.tables}
        found = [report for name, report in named.items() if table in (name, TableName(name.name))]
        return found[0] if len(found) == 1 else None

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        document = {
            "load_id": self.load_id,
            "already_loaded": self.already_loaded,
            "seconds": dict(self.seconds),
            "tables": [json.loads(report.to_json()) for report in self.tables],
        }
        return json.dumps(document, indent=2) + "\n"

    def summary(self) -> str:
        """Return a few readable lines."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        names = ", ".join(report.table for report in self.tables)
        if self.already_loaded:
            yield f"already loaded: {names} hold the release {self.load_id!r}. Nothing was copied."
            return
        count = plural(len(self.tables), "table")
        yield f"published {count} in one transaction, in {self.seconds['total']:.1f} s; load id {self.load_id!r}"
        for report in self.tables:
            yield f"  {_counts(report)}"
        yield f"  {phases_of(self.seconds)}"


def _counts(report: LoadReport) -> str:
    """Return what became of the rows of a table."""
    counts = {
        "updated": report.rows_updated,
        "unchanged": report.rows_unchanged,
        "deleted": report.rows_deleted,
        "ignored": report.rows_ignored,
        "malformed": report.records_malformed,
        "rejected": report.rows_rejected,
    }
    others = "".join(f", {word} {count:,}" for word, count in counts.items() if count)
    verified = f", verified {report.verified.rows:,}" if report.verified else ""
    return f"{report.table}: {report.mode}, inserted {report.rows_inserted:,}{others}{verified}"
