"""Checks an archive before it is called done: what on the target would keep it from running."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path, PurePosixPath

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from deploy.target import Target

BUDGET = 1_500_000
"""Bytes of an archive without extras: each worker downloads and unpacks it before it starts."""

_ELF_MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
# How the executables of other systems begin: Mach-O (both byte orders, both sizes, fat) and PE.
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
    """A fault: which file, and what is wrong with it."""

    path: str
    fault: str

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}"


def inspect_archive(file: Path, target: Target, *, with_extras: bool) -> list[Finding]:
    """All faults of an archive.

    Args:
        file: the .tar.gz.
        target: where it is to run.
        with_extras: packages were added, so that the size has no bound.
    """
    findings: list[Finding] = []
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                findings += _inspect_member(archive, member, target)
    except (tarfile.TarError, EOFError, OSError) as error:
        return [Finding(str(file), f"is no archive: {error}")]
    findings += _inspect_layout(file, target)
    if not with_extras and file.stat().st_size > BUDGET:
        findings.append(Finding(str(file), f"has {file.stat().st_size:,} bytes, and may have {BUDGET:,}"))
    return findings or _inspect_import(file, target)


def _inspect_member(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Target) -> Iterator[Finding]:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        yield Finding(member.name, "lies outside of the archive")
    if member.issym() and not _leads_well(path, member.linkname, target):
        yield Finding(member.name, f"leads to {member.linkname}, neither inside nor the release's interpreter")
    if member.isfile():
        content = archive.extractfile(member)
        yield from _inspect_content(member.name, content.read() if content else b"", target)
        if path.parent.name == "bin" and not member.mode & 0o100:
            yield Finding(member.name, "is not executable")


def _leads_well(path: PurePosixPath, link: str, target: Target) -> bool:
    """Whether a symbolic link leads inside, or to the interpreter."""
    if link.startswith("/"):
        return link == target.interpreter
    depth = len(path.parent.parts)
    for part in PurePosixPath(link).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True


def _inspect_content(name: str, content: bytes, target: Target) -> Iterator[Finding]:
    kind = next((kind for magic, kind in _FOREIGN.items() if content.startswith(magic)), None)
    if kind is not None and (kind != "PE" or name.endswith((".exe", ".dll", ".pyd"))):
        yield Finding(name, f"is compiled for another system ({kind})")
    if content.startswith(b"\x7fELF"):
        yield from inspect_elf(name, content, target)


def inspect_elf(name: str, content: bytes, target: Target) -> Iterator[Finding]:
    """A compiled file must be for the target's processor, and want no newer C library than the target has."""
    try:
        elf = ELFFile(BytesIO(content))
        if elf.header.e_machine != _ELF_MACHINES[target.machine]:
            yield Finding(name, f"is compiled for {elf.header.e_machine}, not for {target.machine}")
        wanted = max(_glibc_versions(elf), default=(0, 0))
    except ELFError as error:
        yield Finding(name, f"is a broken ELF file: {error}")
        return
    if wanted > target.glibc:
        yield Finding(
            name, f"wants glibc {wanted[0]}.{wanted[1]}, and the target has {target.glibc[0]}.{target.glibc[1]}"
        )


def _glibc_versions(elf: ELFFile) -> Iterator[tuple[int, int]]:
    """The versions of glibc whose symbols a file wants."""
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, needs in section.iter_versions():
                for need in needs:
                    version = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", need.name)
                    if version:
                        yield int(version[1]), int(version[2])


def _inspect_layout(file: Path, target: Target) -> list[Finding]:
    """What makes it a venv of this interpreter, with the jobs in it."""
    site = f"lib/python{target.version}/site-packages"
    wanted = ["bin/python", "pyvenv.cfg", f"{site}/jobs/load_table.py", f"{site}/pg8000/__init__.py"]
    with tarfile.open(file) as archive:
        names = set(archive.getnames())
    findings = [Finding(name, "is missing") for name in wanted if name not in names]
    return findings + [Finding(name, "is Spark, which the image has") for name in _sparks(names, site)]


def _sparks(names: Iterable[str], site: str) -> list[str]:
    return [f"{site}/{package}" for package in ("pyspark", "py4j") if f"{site}/{package}/__init__.py" in names]


def _inspect_import(file: Path, target: Target) -> list[Finding]:
    """Unpack it in an empty folder and import the jobs there, with nothing else on the path but Spark.

    A Python that is older than the target's cannot: packages for a newer one may use its syntax.
    """
    if sys.version_info[:2] < tuple(map(int, target.version.split("."))):
        return []
    with tempfile.TemporaryDirectory(prefix="pgjobs-verify-") as scratch:
        folder = Path(scratch)
        with tarfile.open(file) as archive:
            archive.extractall(folder / "environment", members=[m for m in archive if not m.issym()])  # noqa: S202 - its paths were checked
        spark = folder / "spark"
        spark.mkdir()
        for package in ("pyspark", "py4j"):
            spec = find_spec(package)
            if spec is not None and spec.origin is not None:
                (spark / package).symlink_to(Path(spec.origin).parent)
        site = folder / "environment" / "lib" / f"python{target.version}" / "site-packages"
        code = f"import sys; sys.path += {[str(site), str(spark)]!r}; import jobs.load_table, pg8000"
        command = [str(Path(sys.executable).resolve()), "-I", "-S", "-c", code]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines() or ["no reason given"]
    return [Finding("import jobs.load_table, pg8000", lines[-1])] if done.returncode else []
