"""The report of a capture: a summary for people, and JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from jobs.dbaccess.errors import plural


@dataclass(frozen=True)
class CaptureReport:
    """What a run has carried over.

    Attributes:
        reader: The id under which the source knows it.
        batches: How many batches had anything to carry over.
        compared: How many of them compared the whole table; the first copy is one.
        rows_written: Rows that were inserted or updated in the target.
        rows_deleted: Rows that were deleted there.
        position: The snapshot of the source whose state the target has.
        reconnected: How often connections were opened again.
        stopped: Whether a signal ended the run.
    """

    table: str
    target: str
    channel: str
    reader: str = ""
    batches: int = 0
    compared: int = 0
    rows_written: int = 0
    rows_deleted: int = 0
    position: str = ""
    reconnected: int = 0
    stopped: bool = False
    seconds: float = 0.0

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def summary(self) -> str:
        """Return one line for a person."""
        batches = plural(self.batches, "batch", "batches")
        compared = f", {self.compared:,} of them compared all rows" if self.compared else ""
        return (
            f"{'stopped: ' if self.stopped else ''}{self.target} is up to date with {self.table}: "
            f"{plural(self.rows_written, 'row')} written and {self.rows_deleted:,} deleted in {batches}{compared}, "
            f"in {self.seconds:.1f} s; channel {self.channel}"
        )
