"""Checks an archive before it gets its final name, for whatever would keep it from running on the target."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from posixpath import normpath

from pgjobs.archive.elf import MAGIC, elf_faults, library_faults
from pgjobs.archive.tarball import unpack
from pgjobs.archive.target import BuildTarget

BUDGET = 1_500_000
"""Maximum bytes of an archive without extras: each worker downloads and unpacks it before it starts."""

SELF_CONTAINED_BUDGET = 60_000_000
"""Maximum bytes of one with an interpreter: a CPython 3.11 without its libraries has 17 MB."""

# The first bytes of other systems' executables: Mach-O (both byte orders, both sizes, fat) and PE.
_FOREIGN = {
    b"\xfe\xed\xfa\xce": "Mach-O",
    b"\xfe\xed\xfa\xcf": "Mach-O",
    b"\xce\xfa\xed\xfe": "Mach-O",
    b"\xcf\xfa\xed\xfe": "Mach-O",
    b"\xca\xfe\xba\xbe": "Mach-O",
    b"MZ": "PE",
}


@dataclass(frozen=True)
class Finding:
    """A fault: the file, and what is wrong with it."""

    path: str
    fault: str

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}"


def inspect_archive(file: Path, target: BuildTarget, *, with_extras: bool) -> list[Finding]:
    """Return all faults of an archive.

    Args:
        file: The .tar.gz.
        target: Where it is to run.
        with_extras: Whether packages were added, so that the size has no limit.
    """
    findings: list[Finding] = []
    try:
        with tarfile.open(file) as archive:
            names = set(archive.getnames())
            for member in archive:
                findings += _inspect_member(archive, member, target, names)
    except (tarfile.TarError, EOFError, OSError) as error:
        return [Finding(str(file), f"is not an archive: {str(error).partition(':')[0]}")]
    findings += _inspect_layout(file, target)
    budget = SELF_CONTAINED_BUDGET if target.carried else BUDGET
    if not with_extras and file.stat().st_size > budget:
        findings.append(Finding(str(file), f"has {file.stat().st_size:,} bytes, and may have {budget:,}"))
    return findings or _inspect_import(file, target)


def carried_version(file: Path) -> str | None:
    """Return the version of an archive's own interpreter, "3.12"; None if it has none, or if this is not an archive."""
    try:
        with tarfile.open(file) as archive:
            matches = (re.fullmatch(r"lib/python(3\.\d+)/os\.py", name) for name in archive.getnames())
            return next((version[1] for version in matches if version), None)
    except (tarfile.TarError, EOFError, OSError):
        return None


def _inspect_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: BuildTarget, names: Container[str]
) -> Iterator[Finding]:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        yield Finding(member.name, "is outside of the archive")
    if member.issym() and not _leads_well(path, member.linkname, target, names):
        yield Finding(member.name, f"links to {member.linkname}, which is neither inside nor the release's interpreter")
    if member.isfile():
        content = archive.extractfile(member)
        yield from _inspect_content(path, content.read() if content else b"", target, names)
        if path.parent == PurePosixPath("bin") and not member.mode & 0o100:
            yield Finding(member.name, "is not executable")


def _leads_well(path: PurePosixPath, link: str, target: BuildTarget, names: Container[str]) -> bool:
    """Return whether a symbolic link leads to something inside the archive, or to the interpreter."""
    if link.startswith("/"):
        return link == target.interpreter
    return normpath(path.parent / link) in names


def _inspect_content(
    path: PurePosixPath, content: bytes, target: BuildTarget, names: Container[str]
) -> Iterator[Finding]:
    kind = next((kind for magic, kind in _FOREIGN.items() if content.startswith(magic)), None)
    if kind is not None and (kind != "PE" or path.suffix in (".exe", ".dll", ".pyd")):
        yield Finding(str(path), f"is compiled for another system ({kind})")
    if content.startswith(MAGIC):
        faults = list(elf_faults(content, target))
        if target.carried and not faults and "site-packages" not in path.parts:
            faults += library_faults(content, path.parent, names)
        yield from (Finding(str(path), fault) for fault in faults)


def _inspect_layout(file: Path, target: BuildTarget) -> list[Finding]:
    """Check what makes it a venv of this interpreter that contains the jobs."""
    site = f"lib/python{target.version}/site-packages"
    own = f"lib/python{target.version}/os.py" if target.carried else "pyvenv.cfg"
    required = ["bin/python", own, f"{site}/jobs/load_table.py", f"{site}/pg8000/__init__.py"]
    with tarfile.open(file) as archive:
        names = set(archive.getnames())
    findings = [Finding(name, "is missing") for name in required if name not in names]
    return findings + [Finding(name, "is Spark, which the image already has") for name in _sparks(names, site)]


def _sparks(names: Iterable[str], site: str) -> list[str]:
    return [f"{site}/{package}" for package in ("pyspark", "py4j") if f"{site}/{package}/__init__.py" in names]


# The entrypoints import what they need at run time: flags are checked without Spark.
_IMPORTED = ("jobs.load_table", "jobs.extract_table", "jobs.run_query", "pg8000")
_IMPORTED_WITH_SPARK = ("jobs.flows.load.dataframe", "jobs.flows.extract.job")


# Shows packages of Spark to an isolated Python, and nothing else from beside them.
_SEEING_SPARK = """
import sys
from importlib.util import spec_from_file_location

class Spark:
    def find_spec(name, path=None, target=None):
        file = {spark!r}.get(name)
        return file and spec_from_file_location(name, file)

sys.meta_path.append(Spark)
sys.path.append({site!r})
"""


def _inspect_import(file: Path, target: BuildTarget) -> list[Finding]:
    """Unpack it in an empty folder and import the jobs there, with nothing else on the path but Spark, if it is here.

    The archive's own interpreter does this if it runs on this machine, otherwise this one. A Python older than the
    target's cannot check this: packages for a newer one may use its syntax.
    """
    this, wanted = sys.version_info[:2], tuple(map(int, target.version.split(".")))
    here = (sys.platform, platform.machine()) == ("linux", target.machine)
    own = target.carried and here and wanted >= this  # this machine's Spark may be too new for an older one
    if not own and this < wanted:
        return []
    with tempfile.TemporaryDirectory(prefix="pgjobs-verify-") as scratch:
        folder = Path(scratch)
        unpack(file, folder / "environment", links=target.carried)
        specs = {name: find_spec(name) for name in ("pyspark", "py4j")}
        spark = {name: spec.origin for name, spec in specs.items() if spec is not None and spec.origin is not None}
        imported = _IMPORTED + _IMPORTED_WITH_SPARK if spark else _IMPORTED
        site = folder / "environment" / "lib" / f"python{target.version}" / "site-packages"
        code = f"{_SEEING_SPARK.format(spark=spark, site=str(site))}\nimport {', '.join(imported)}"
        python = folder / "environment" / target.interpreter if own else Path(sys.executable).resolve()
        command = [str(python), "-I", "-S", "-c", code]
        completed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = completed.stderr.strip().splitlines() or ["no reason given"]
    return [Finding(f"import {', '.join(imported)}", lines[-1])] if completed.returncode else []
