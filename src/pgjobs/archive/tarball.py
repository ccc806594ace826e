"""A tree as .tar.gz whose bytes depend on its contents alone, and back."""

from __future__ import annotations

import struct
import tarfile
import zlib
from io import BytesIO
from pathlib import Path

_COMPRESSION = 6
"""Of gzip: 9 takes three times as long, for a hundredth of the size."""


def pack(tree: Path, packed: Path) -> None:
    """Write a tree as .tar.gz: names sorted, times and owners fixed."""
    plain = BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(tree.rglob("*")):
            archive.add(path, path.relative_to(tree).as_posix(), recursive=False, filter=_anonymous)
    packed.write_bytes(gzipped(plain.getvalue()))


def gzipped(content: bytes) -> bytes:
    """Content as a gzip file; the same on every Python, whose own module writes systems and times into the header.

    https://www.rfc-editor.org/rfc/rfc1952#section-2.3
    """
    deflate = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)  # negative: without a header of zlib's
    body = deflate.compress(content) + deflate.flush()
    return _HEADER + body + struct.pack("<LL", zlib.crc32(content), len(content) & 0xFFFFFFFF)


_HEADER = b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x00\xff"
"""Of gzip: deflate, no name, no time, no word of how hard it tried, from an unknown system."""


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    executable = member.isdir() or member.mode & 0o100
    member.mode = 0o755 if executable else 0o644
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def unpack_packages(packed: Path, folder: Path) -> Path:
    """Unpack the packages alone; their folder."""
    with tarfile.open(packed) as archive:
        archive.extraction_filter = lambda member, _: member  # as in unpack
        members = [member for member in archive if "site-packages" in Path(member.name).parts and not member.issym()]
        archive.extractall(folder, members)  # noqa: S202 - the paths were checked when it was made
    return next(folder.glob("lib/python*/site-packages"), folder)


def unpack(packed: Path, folder: Path, *, links: bool = True) -> None:
    """Unpack what pack wrote, as Spark does: with the link to the interpreter, which lies outside of the folder.

    Args:
        packed: the .tar.gz; its paths were checked when it was made.
        folder: where to.
        links: whether symbolic links come along.
    """
    with tarfile.open(packed) as archive:
        # Said, because newer Pythons' own rule refuses links that lead outside, and Pythons in between warn.
        archive.extraction_filter = lambda member, _: member
        members = [member for member in archive if links or not member.issym()]
        archive.extractall(folder, members)  # noqa: S202 - see above
