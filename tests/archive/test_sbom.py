"""The archive's bill of materials: CycloneDX's own schema, and what is really packed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from pgjobs.archive.manifest import beside
from pgjobs.checks import sbom
from pgjobs.checks.audit import NOT_AUDITED, main, packed


def refusal(bill: dict[str, Any]) -> object:
    """What CycloneDX's own schema has against a bill; None if it holds."""
    from cyclonedx.schema import SchemaVersion  # here, for it takes a second of CPU in each worker that collects tests
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))


def test_it_holds_by_the_schema_and_names_each_package_with_its_wheels_hash(made: Path) -> None:
    described, packages = packed(made)
    bill: dict[str, Any] = sbom.bill(described, packages)
    assert refusal(bill) is None
    told = {(part["name"], part["version"]) for part in bill["components"]}
    assert told == {
        (package["name"], package["version"]) for package in json.loads(beside(made).read_text())["packages"]
    }
    assert [part["name"] for part in bill["components"] if not part["hashes"] or not part["licenses"]] == []
    needs = {part["ref"].partition("@")[0]: part["dependsOn"] for part in bill["dependencies"]}
    assert [need.partition("@")[0] for need in needs["pkg:pypi/pg8000"]] == [
        "pkg:pypi/python-dateutil",
        "pkg:pypi/scramp",
    ]


def test_the_schemas_judge_refuses_what_is_no_bill(made: Path) -> None:
    bill: dict[str, Any] = sbom.bill(*packed(made))
    bill["components"][0].pop("name")
    assert refusal(bill) is not None


def test_a_carried_interpreter_is_listed(made: Path) -> None:
    described, packages = packed(made)
    carried = {**described, "carried_interpreter": {"version": "3.11.9", "sha256": "a" * 64}}
    bill: dict[str, Any] = sbom.bill(carried, packages)
    assert refusal(bill) is None
    assert [part["purl"] for part in bill["components"] if part["type"] == "platform"] == ["pkg:generic/cpython@3.11.9"]


@pytest.mark.parametrize(
    ("says", "status", "told"),
    [
        ('{"dependencies": []}', NOT_AUDITED, "Not audited: 5 of 5 packages."),
        ("", NOT_AUDITED, "did not answer (No route to host)"),
    ],
)
def test_without_the_database_the_bill_is_written_and_the_audit_fails(
    made: Path, tmp_path: Path, says: str, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that answers as pip-audit does where nothing is to be reached: of it, no registry is asked."""
    archive = tmp_path / made.name
    shutil.copy2(made, archive)
    shutil.copy2(beside(made), beside(archive))
    program = tmp_path / "pip-audit"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint({says!r})\nsys.exit('No route to host')\n")
    program.chmod(0o755)
    assert main([str(archive), "--pip-audit", str(program)]) == status
    assert told in capsys.readouterr().err
    assert json.loads((tmp_path / f"{made.name}.cdx.json").read_text())["bomFormat"] == "CycloneDX"


def test_an_archive_whose_manifest_is_another_ones_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / made.name
    archive.write_bytes(made.read_bytes() + b" ")
    shutil.copy2(beside(made), beside(archive))
    assert main([str(archive)]) == 1
    assert "run pgjobs package" in capsys.readouterr().err
