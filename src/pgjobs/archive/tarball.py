"""Packs a tree as a .tar.gz whose bytes depend only on its contents, and unpacks it."""

from __future__ import annotations

import re
import struct
import tarfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath

_COMPRESSION = 6
"""The level of gzip: 9 takes three times as long and saves a hundredth of the size."""


def pack(tree: Path, packed: Path, links: Mapping[str, str] | None = None) -> None:
    """Write a tree as .tar.gz, with sorted names and fixed times and owners.

    Args:
        tree: The folder.
        packed: The archive to write.
        links: Symbolic links to add, which the system of this machine (Windows) may not be able to create in the tree.
    """
    entries: dict[PurePosixPath, Path | str] = {
        **{PurePosixPath(path.relative_to(tree).as_posix()): path for path in tree.rglob("*")},
        **{PurePosixPath(name): link for name, link in (links or {}).items()},
    }
    plain = BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, entry in sorted(entries.items()):
            if isinstance(entry, str):
                archive.addfile(_link(str(name), entry))
            else:
                archive.add(entry, str(name), recursive=False, filter=_anonymous)
    packed.write_bytes(gzipped(plain.getvalue()))


def _link(name: str, leads_to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, leads_to, 0o777
    return _anonymous(member)


def gzipped(content: bytes) -> bytes:
    """Return content as a gzip file. Python's own module writes the system and the time into the header.

    https://www.rfc-editor.org/rfc/rfc1952#section-2.3
    """
    deflate = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)  # negative: without zlib's header
    body = deflate.compress(content) + deflate.flush()
    return _HEADER + body + struct.pack("<LL", zlib.crc32(content), len(content) & 0xFFFFFFFF)


_HEADER = b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x00\xff"
"""The gzip header: deflate, no name, no time, no compression level, unknown system."""


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    executable = member.isdir() or member.mode & 0o100
    member.mode = 0o755 if executable else 0o644
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def relink(packed: Path, interpreter: Path, target: Path) -> None:
    """Write a copy of a venv's archive whose bin/python links to another interpreter."""
    plain = BytesIO()
    with tarfile.open(packed) as archive, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as copy:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if member.name == "bin/python":
                member.linkname = str(interpreter)
            elif member.name == "pyvenv.cfg" and content is not None:
                text = re.sub(rb"(?m)^home = .*$", f"home = {interpreter.parent}".encode(), content.read())
                member.size, content = len(text), BytesIO(text)
            copy.addfile(member, content)
    target.write_bytes(gzipped(plain.getvalue()))


def unpack_packages(packed: Path, folder: Path) -> Path:
    """Unpack only the packages. Returns their folder."""
    with tarfile.open(packed) as archive:
        archive.extraction_filter = lambda member, _: member  # as in unpack
        members = [member for member in archive if "site-packages" in Path(member.name).parts and not member.issym()]
        archive.extractall(folder, members)  # noqa: S202 - the paths were checked when it was made
    return next(folder.glob("lib/python*/site-packages"), folder)


def unpack(packed: Path, folder: Path, *, links: bool = True) -> None:
    """Unpack what pack wrote, as Spark does: with the link to the interpreter, which is outside of the folder.

    Args:
        packed: The .tar.gz. Its paths were checked when it was built.
        folder: The folder to unpack into.
        links: Whether to unpack symbolic links.
    """
    with tarfile.open(packed) as archive:
        # Set explicitly: newer Pythons by default refuse links that lead outside, and some older ones warn.
        archive.extraction_filter = lambda member, _: member
        members = [member for member in archive if links or not member.issym()]
        archive.extractall(folder, members)  # noqa: S202 - see above
