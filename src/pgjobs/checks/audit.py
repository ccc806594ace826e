"""Writes the SBOM of an archive, and has pip-audit look up known vulnerabilities of its contents.

    python -m pgjobs.checks.audit dist/pyspark_venv.tar.gz [--pip-audit .venv-audit/bin/pip-audit]

pip-audit gets exactly the packed wheels, by version and hash. It uses the database of PyPI or OSV. If that does not
answer, nothing is known, and the exit status is 3, never 0.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgjobs.archive import manifest, provenance
from pgjobs.archive.packages.wheels import normalized
from pgjobs.archive.tarball import unpack_packages
from pgjobs.checks import sbom
from pgjobs.checks.verification import read
from pgjobs.errors import FAILED, OK, DeployError

NOT_AUDITED = 3
"""A separate exit status: packages that could not be looked up do not count as good."""


@dataclass(frozen=True)
class Answer:
    """The result of pip-audit.

    Attributes:
        known: Vulnerabilities, one line each.
        skipped: Packages that it could not look up, one line each.
        audited: The number of packages that it looked up.
    """

    known: tuple[str, ...]
    skipped: tuple[str, ...]
    audited: int


def read_answer(text: str) -> Answer | None:
    """Return the result in pip-audit's JSON output; None if it is no result, because the database was not reached."""
    try:
        report = json.loads(text)
    except ValueError:
        return None
    listed = report.get("dependencies") if isinstance(report, dict) else None
    if not isinstance(listed, list):
        return None
    known = tuple(
        f"{entry['name']} {entry['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'none'}"
        for entry in listed
        for flaw in entry.get("vulns", [])
    )
    skipped = tuple(f"{entry['name']}: {entry['skip_reason']}" for entry in listed if "skip_reason" in entry)
    return Answer(known, skipped, len(listed) - len(skipped))


def verdict(answer: Answer | None, wanted: int, problem: str) -> tuple[int, list[str]]:
    """Return the exit status and the lines to print.

    Args:
        answer: The result of pip-audit.
        wanted: The number of packages.
        problem: What pip-audit printed to stderr.
    """
    if answer is None:
        return NOT_AUDITED, [f"Not audited: the vulnerability database did not answer ({problem})."]
    if answer.known:
        return FAILED, ["Known vulnerabilities:", *(f"  {line}" for line in answer.known)]
    if answer.audited < wanted:
        missing = [f"  {line}" for line in answer.skipped]
        return NOT_AUDITED, [f"Not audited: {wanted - answer.audited} of {wanted} packages.", *missing]
    return OK, [f"No known vulnerability in {wanted} packages."]


def requirements(packages: Sequence[sbom.Package], described: Mapping[str, object]) -> str:
    """Return the packed packages as a requirements file with the hashes of their wheels.

    Raises:
        DeployError: The wheel of a package is not known.
    """
    listed = provenance.dependencies(described.get("provenance"))
    digests = {str(entry.get("uri")): entry.get("digest") for entry in listed}
    lines = []
    for package in packages:
        digest = digests.get(package.url)
        if not isinstance(digest, dict):
            raise DeployError(f"The manifest does not name the wheel of {package.name}: run pgjobs package again.")
        lines.append(f"{normalized(package.name)}=={package.version} --hash=sha256:{digest['sha256']}\n")
    return "".join(lines)


def pip_audit(program: Path, wanted: str, scratch: Path) -> tuple[Answer | None, str]:
    """Run pip-audit on requirements. Returns its result, and the last line that it printed to stderr.

    Raises:
        DeployError: pip-audit is not installed.
    """
    file = scratch / "packed.txt"
    file.write_text(wanted, encoding="utf-8")
    command = [str(program), "--requirement", str(file), "--require-hashes", "--disable-pip", "--format", "json"]
    try:
        completed = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise DeployError(f"There is no {program} ({error.strerror}): run make audit.") from None
    messages = completed.stderr.strip().splitlines() or [f"pip-audit ended with status {completed.returncode}"]
    return read_answer(completed.stdout), messages[-1].strip()


def packed(archive: Path) -> tuple[Mapping[str, object], list[sbom.Package]]:
    """Return the manifest of an archive, and the packages in the archive.

    Raises:
        DeployError: There is no manifest, or it belongs to another archive.
    """
    beside = manifest.beside(archive)
    described = read(beside.read_bytes()) if beside.is_file() else None
    if described is None or described.get("sha256") != hashlib.sha256(archive.read_bytes()).hexdigest():
        raise DeployError(f"There is no manifest {beside} of this archive: run pgjobs package.")
    with tempfile.TemporaryDirectory(prefix="pgjobs-sbom-") as scratch:
        site = unpack_packages(archive, Path(scratch))
        return described, [sbom.package(one) for one in manifest.distributions(site)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the SBOM, and audit. Returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        described, packages = packed(options.file)
        bill = options.file.with_name(f"{options.file.name}.cdx.json")
        bill.write_text(json.dumps(sbom.bill(described, packages), indent=2) + "\n", encoding="utf-8")
        print(f"{bill}: {len(packages)} packages")
        with tempfile.TemporaryDirectory(prefix="pgjobs-audit-") as scratch:
            answer, problem = pip_audit(options.pip_audit, requirements(packages, described), Path(scratch))
    except (DeployError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    status, lines = verdict(answer, len(packages), problem)
    print("\n".join(lines), file=sys.stderr if status else sys.stdout)
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m pgjobs.checks.audit", description=__doc__.partition("\n")[0], allow_abbrev=False
    )
    arguments.add_argument("file", type=Path, help="the archive, its manifest beside it")
    arguments.add_argument(
        "--pip-audit",
        type=Path,
        default=Path(".venv-audit/bin/pip-audit"),
        metavar="PROGRAM",
        help="default: %(default)s",
    )
    return arguments


if __name__ == "__main__":
    sys.exit(main())
