"""Whether a compiled file can run on the target: its processor, its C library, and the libraries that it needs."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from io import BytesIO
from pathlib import PurePosixPath
from posixpath import normpath

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from pgjobs.archive.target import BuildTarget

MAGIC = b"\x7fELF"

_ELF_MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}

# Those of glibc, and those that Amazon Linux's Python package requires, which all images have.
_SYSTEM_LIBRARIES = re.compile(
    r"(ld-linux-.+|lib(c|m|dl|pthread|rt|util|gcc_s|z|bz2|lzma|expat|ffi|ssl|crypto|sqlite3|uuid))\.so\.\d+"
)
_SEARCH_PATHS = {"DT_RUNPATH": "runpath", "DT_RPATH": "rpath"}


def elf_faults(content: bytes, target: BuildTarget) -> Iterator[str]:
    """Yield the faults of a compiled file: built for another processor, or for a newer C library than the target's."""
    try:
        elf = ELFFile(BytesIO(content))
        if elf.header.e_machine != _ELF_MACHINES[target.machine]:
            yield f"is compiled for {elf.header.e_machine}, not for {target.machine}"
        needed = max(_glibc_versions(elf), default=(0, 0))
    except ELFError as error:
        yield f"is a broken ELF file: {error}"
        return
    if needed > target.glibc:
        yield f"needs glibc {needed[0]}.{needed[1]}, and the target has {target.glibc[0]}.{target.glibc[1]}"


def _glibc_versions(elf: ELFFile) -> Iterator[tuple[int, int]]:
    """Return the versions of glibc whose symbols a file needs."""
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, needs in section.iter_versions():
                for need in needs:
                    version = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", need.name)
                    if version:
                        yield int(version[1]), int(version[2])


def library_faults(content: bytes, folder: PurePosixPath, names: Container[str]) -> Iterator[str]:
    """Yield the libraries that an interpreter's file finds neither on the image nor, by relative path, in the archive.

    Args:
        content: The file.
        folder: Its folder in the archive.
        names: All names in the archive.
    """
    needed, paths = _libraries(content)
    folders = [normpath(path.replace("$ORIGIN", str(folder))) for path in paths if path.startswith("$ORIGIN")]
    for library in needed:
        if not _SYSTEM_LIBRARIES.fullmatch(library) and not any(
            f"{directory}/{library}" in names for directory in folders
        ):
            yield f"needs {library}, which is neither on the image nor found by $ORIGIN in the archive"


def _libraries(content: bytes) -> tuple[list[str], list[str]]:
    """Return the libraries that a file needs, and the paths in which it searches for them."""
    needed: list[str] = []
    paths: list[str] = []
    for section in ELFFile(BytesIO(content)).iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(getattr(tag, "needed"))  # noqa: B009 - pyelftools sets it if the tag has it
                elif tag.entry.d_tag in _SEARCH_PATHS:
                    paths += getattr(tag, _SEARCH_PATHS[tag.entry.d_tag]).split(":")
    return needed, paths
