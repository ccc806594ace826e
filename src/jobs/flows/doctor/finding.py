"""Findings: what was examined, what was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from jobs.dbaccess.errors import JobError

OK, WARNING, FAULT, SKIPPED = "ok", "warning", "FAULT", "skipped"


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Attributes:
        check: What was examined.
        state: OK, WARNING, FAULT or SKIPPED.
        found: What was found.
        advice: What to do about it; empty if nothing is to be done.
    """

    check: str
    state: str
    found: str
    advice: str = ""


class Failed(Exception):
    """A check failed. What lies behind it cannot be examined."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.found)
        self.finding = finding


@contextmanager
def checking(check: str) -> Iterator[None]:
    """Make an error of the block the failure of a check.

    Raises:
        Failed: The block raised an error of ours.
    """
    try:
        yield
    except JobError as error:
        raise Failed(fault(check, error)) from None


def fault(check: str, error: JobError) -> Finding:
    """Return the finding of an error."""
    return Finding(check, FAULT, error.message, error.hint)


def judged(check: str, found: str, problem: str = "", state: str = WARNING) -> Finding:
    """Return a finding that is OK unless there is a problem, which says what to do."""
    return Finding(check, state if problem else OK, found, problem)


def skipped(*checks: str) -> Iterator[Finding]:
    """Yield findings of checks that were not reached."""
    for check in checks:
        yield Finding(check, SKIPPED, "not reached")


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings as plain data, and whether all is well."""
    return {"healthy": healthy(findings), "findings": [asdict(finding) for finding in findings]}


def healthy(findings: Sequence[Finding]) -> bool:
    """Return whether nothing was found that would stop a load."""
    return all(finding.state != FAULT for finding in findings)
