"""What compiled files want of their machine."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pgjobs.archive.elf import elf_faults
from pgjobs.archive.target import BuildTarget


def test_a_file_that_wants_a_newer_c_library_is_found() -> None:
    """Python's own library on this machine wants some version of glibc; an ancient target has none of it."""
    import _struct

    path = Path(getattr(_struct, "__file__", None) or __import__("sys").executable)
    content = path.resolve().read_bytes()
    if not content.startswith(b"\x7fELF"):
        pytest.skip("not a Linux machine")
    machine = {62: "x86_64", 183: "arm64"}[struct.unpack_from("<H", content, 18)[0]]
    ancient = BuildTarget("x", "/usr/bin/python3.11", "3.11", machine, (2, 1))
    assert any("needs glibc 2." in fault for fault in elf_faults(content, ancient))
