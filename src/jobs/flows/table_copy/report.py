"""The report of a copy: that of a load, in a copy's words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from jobs.flows.report import LoadReport


@dataclass(frozen=True)
class CopyReport(LoadReport):
    """A finished copy, or one that had finished before. The attributes are those of a load's report."""

    verb: ClassVar[str] = "copied"

    @classmethod
    def of(cls, load: LoadReport) -> CopyReport:
        """Return the report of the load that a copy was."""
        return cls(**{one.name: getattr(load, one.name) for one in fields(LoadReport)})
