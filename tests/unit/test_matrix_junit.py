"""What pytest's report says to `make matrix`."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from matrix import junit, table

REPORT = """<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="2" tests="9" time="12.5">
<testcase classname="tests.unit.test_a" name="test_good"/>
<testcase classname="tests.unit.test_a" name="test_bad[1]"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_b" name="test_worse"><error message="no"/></testcase>
</testsuite></testsuites>"""


def test_pytests_report_is_summed_up() -> None:
    root = ET.fromstring(REPORT)  # noqa: S314 - it stands above
    assert junit.counts(root) == table.Counts(passed=5, failed=2, skipped=2, seconds=12.5)
    assert junit.failures(root) == ["tests/unit/test_a.py::test_bad[1]", "tests/unit/test_b.py::test_worse"]
