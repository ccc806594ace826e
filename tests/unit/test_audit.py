"""What an audit tells: nothing is good that was not looked up."""

from __future__ import annotations

import json

import pytest

from pgjobs.checks.audit import Answer, read_answer, requirements, verdict
from pgjobs.checks.sbom import Package
from pgjobs.errors import DeployError

ANSWER = {
    "dependencies": [
        {"name": "six", "version": "1.17.0", "vulns": []},
        {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"], "aliases": []}]},
        {"name": "own", "skip_reason": "Dependency not found on PyPI"},
    ],
    "fixes": [],
}
KNOWN = "old 1.0: PYSEC-1, fixed in 1.1, 2.0"


def test_what_pip_audit_prints_is_read() -> None:
    assert read_answer(json.dumps(ANSWER)) == Answer((KNOWN,), ("own: Dependency not found on PyPI",), 2)


@pytest.mark.parametrize("text", ["", "<html>", "[]", "{}", '{"dependencies": 1}'])
def test_what_is_no_answer_is_none(text: str) -> None:
    assert read_answer(text) is None


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (None, 3, ["Not audited: the vulnerability database did not answer (timed out)."]),
        (Answer((), (), 2), 0, ["No known vulnerability in 2 packages."]),
        (Answer((KNOWN,), ("six: gone",), 1), 1, ["Known vulnerabilities:", f"  {KNOWN}"]),
        (Answer((), ("six: gone",), 1), 3, ["Not audited: 1 of 2 packages.", "  six: gone"]),
        (Answer((), (), 0), 3, ["Not audited: 2 of 2 packages."]),
    ],
)
def test_only_packages_that_were_all_looked_up_pass(answer: Answer | None, status: int, told: list[str]) -> None:
    assert verdict(answer, 2, "timed out") == (status, told)


def test_what_is_audited_is_exactly_what_was_packed() -> None:
    package = Package("Python_Dateutil", "2.9.0", "", is_expression=False, needs=frozenset())
    listed = [{"name": "x.whl", "uri": "pkg:pypi/python-dateutil@2.9.0", "digest": {"sha256": "a" * 64}}]
    manifest = {"provenance": {"predicate": {"buildDefinition": {"resolvedDependencies": listed}}}}
    assert requirements([package], manifest) == f"python-dateutil==2.9.0 --hash=sha256:{'a' * 64}\n"
    with pytest.raises(DeployError, match=r"does not name the wheel of Python_Dateutil: run pgjobs package"):
        requirements([package], {})
