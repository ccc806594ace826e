"""Parses pytest's report in JUnit's format."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from matrix.table import Counts


def counts(report: Element) -> Counts:
    """Return how many tests passed, failed and were skipped, from the root of a report."""
    suites = list(report.iter("testsuite"))
    total, failures, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    seconds = sum(float(suite.get("time", "0")) for suite in suites)
    failed = failures + errors
    return Counts(max(total - failed - skipped, 0), failed, skipped, seconds)


def failures(report: Element) -> list[str]:
    """Return the failed tests, as file::name."""
    return [
        f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        for case in report.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
