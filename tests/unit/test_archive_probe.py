"""What the probe must have seen in a process that runs on the archive."""

from __future__ import annotations

from typing import Any

import pytest

from pgjobs.archive.probe import faults

GOOD: dict[str, Any] = {
    "role": "executor 0",
    "environment": "/run/0/environment",
    "prefix": "/run/0/environment",
    "interpreter": "/usr/bin/python3.11",
    "packages": {
        "jobs": {"file": "/run/0/environment/lib/python3.11/site-packages/jobs/__init__.py", "version": ""},
        "pg8000": {"file": "/run/0/environment/lib/python3.11/site-packages/pg8000/__init__.py", "version": "1"},
    },
}


def test_a_process_on_the_archive_has_no_fault() -> None:
    assert list(faults(GOOD)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"prefix": "/usr"}, "The executor 0 runs on /usr/bin/python3.11, not on the archive's interpreter."),
        ({"prefix": "/run/0/environment2"}, "not on the archive's interpreter"),
        ({"packages": {"jobs": GOOD["packages"]["jobs"]}}, "The executor 0 does not see pg8000."),
        (
            {"packages": {**GOOD["packages"], "pg8000": {"file": "/usr/lib/pg8000.py", "version": "1"}}},
            "The executor 0 has pg8000 from /usr/lib/pg8000.py, not from the archive.",
        ),
    ],
)
def test_a_process_elsewhere_is_told_apart(change: dict[str, Any], fault: str) -> None:
    [found] = faults({**GOOD, **change})
    assert fault in found
