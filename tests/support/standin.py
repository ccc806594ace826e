"""Stands in for a python-build-standalone, which is downloaded from afar: a copy of this machine's own Python."""

from __future__ import annotations

import platform
import shutil
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from once import made_once

from pgjobs.archive.build import build
from pgjobs.archive.elf import library_faults
from pgjobs.archive.manifest import NAME
from pgjobs.archive.target import BuildTarget, target_for

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def _stand_in(folder: Path) -> Path:
    """A folder as uv would have installed it: it looks for its library beside itself, and wants no other one.

    The path of the library is written over in place: the new one is shorter.
    """
    base = Path(sys.base_prefix)
    library = base / "lib" / f"libpython{VERSION}.so.1.0"
    if sys.platform != "linux" or base == Path("/usr") or not library.is_file():
        pytest.skip("this machine's Python is no shared build outside of /usr, and cannot stand in")
    name = f"python{VERSION}"
    shutil.copytree(base / "lib" / name, folder / "lib" / name, ignore=shutil.ignore_patterns("site-packages", "test"))
    for module in (folder / "lib" / name / "lib-dynload").glob("*.so"):
        if list(library_faults(module.read_bytes(), PurePosixPath("lib-dynload"), ())):
            module.unlink()  # another system's name of a library, such as Debian's libbz2.so.1.0
    for told in (folder / "lib" / name).glob("_sysconfigdata_*.py"):  # uv, too, makes it tell the new folder
        told.write_text(told.read_text().replace(str(base), str(folder)))
    shutil.copytree(base / "include" / name, folder / "include" / name)
    (folder / "bin").mkdir()
    here, anywhere = sysconfig.get_config_var("LIBDIR").encode(), b"$ORIGIN/../lib"
    program = (base / "bin" / name).read_bytes().replace(here + b"\0", anywhere.ljust(len(here), b"\0") + b"\0")
    (folder / "bin" / name).write_bytes(program)
    (folder / "bin" / name).chmod(0o755)
    shutil.copy2(library, folder / "lib")
    return folder


def this_machine() -> BuildTarget:
    """This machine as a target for an archive that carries the stand-in; the C library may be newer than EMR's."""
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return replace(target_for("emr-spark-8.1.0", architecture, VERSION, carried=True), glibc=(2, 40))


def carrying(factory: pytest.TempPathFactory) -> Path:
    """An archive for this machine that carries the stand-in, with its manifest."""
    python = stand_in_of_this(factory)
    return made_once(factory, "carrying", lambda folder: build(this_machine(), folder, carried=python)) / NAME


def stand_in_of_this(factory: pytest.TempPathFactory) -> Path:
    """The stand-in; not to be written to."""
    return made_once(factory, "python", lambda folder: _stand_in(folder / "cpython")) / "cpython"
