"""Includes an interpreter in the archive, for a release whose own Python is not the wanted one.

It is one of python-build-standalone's, as uv installs it. It is built against an old glibc for all Linux machines,
contains its libraries, and runs wherever it is unpacked, since it finds its prefix by its own path.
https://gregoryszorc.com/docs/python-build-standalone/main/
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from pgjobs.archive.packages.uv import run_uv
from pgjobs.archive.target import BuildTarget
from pgjobs.errors import DeployError

# What no job on a worker needs. Among it are modules in C that need libraries which the image may lack.
_LEFT_OUT = (
    "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "ensurepip", "lib2to3",
    "config-3.*", "site-packages", "*.a", "EXTERNALLY-MANAGED",
    "_test*", "_xx*", "xx*", "_ctypes_test*", "_tkinter*", "_crypt.*", "crypt.py", "nis.*", "spwd.*", "ossaudiodev.*",
    "readline.*", "_curses*", "_dbm.*", "_gdbm.*",
)  # fmt: skip

_HOME = "/usr"
"""Replaces the builder's folder, which sysconfig would contain, so that the same inputs give the same bytes."""


def refuse_windows(platform: str) -> None:
    """Refuse to include an interpreter on Windows, whose files have no mode and whose links need a privilege.

    Raises:
        DeployError: The platform, as in sys.platform, is Windows.
    """
    if platform == "win32":
        raise DeployError("A self-contained archive cannot be built on Windows. Build it on Linux, macOS or in WSL.")


def fetch(target: BuildTarget, folder: Path) -> Path:
    """Install the target's interpreter below a folder, unless it is there. Returns its own folder.

    Raises:
        DeployError: uv cannot install it.
    """
    key = f"linux-{target.machine}-gnu"
    install = ["python", "install", "--no-bin", "--install-dir", str(folder)]
    run_uv(
        [*install, f"cpython-{target.version}-{key}"],
        f"uv cannot install Python {target.version} for {key} (or give its folder: --interpreter DIR)",
    )
    installed = [path for path in folder.glob(f"cpython-{target.version}.*-{key}") if not path.is_symlink()]
    if not installed:
        raise DeployError(f"uv reported no error, but there is no cpython-{target.version} in {folder}.")
    return max(installed, key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)])


def carry(folder: Path, tree: Path, target: BuildTarget) -> None:
    """Copy an interpreter's folder into a venv: program, standard library, and its own shared library.

    Raises:
        DeployError: The folder has no such interpreter.
    """
    name = f"python{target.version}"
    program, library = folder / "bin" / name, folder / "lib" / name
    if not program.is_file() or not (library / "os.py").is_file():
        raise DeployError(f"{folder} has no bin/{name} with lib/{name}: give the folder of a Python {target.version}.")
    (tree / "bin").mkdir(parents=True)
    shutil.copy2(program, tree / "bin" / name)
    shutil.copytree(library, tree / "lib" / name, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    shared = f"lib{name}.so.1.0"
    if shared.encode() in program.read_bytes():
        shutil.copy2(folder / "lib" / shared, tree / "lib" / shared)
    for sysconfig_data in (tree / "lib" / name).glob("_sysconfigdata_*.py"):
        sysconfig_data.write_text(sysconfig_data.read_text().replace(str(folder), _HOME))


def describe(folder: Path, target: BuildTarget) -> dict[str, str]:
    """Return the manifest's entry for the included interpreter.

    Raises:
        DeployError: Its version cannot be determined.
    """
    header = folder / "include" / f"python{target.version}" / "patchlevel.h"
    version = re.search(r'#define PY_VERSION\s+"(.+)"', header.read_text() if header.is_file() else "")
    if version is None:
        raise DeployError(f"{header} does not contain the version of this Python.")
    program = folder / "bin" / f"python{target.version}"
    return {"version": version[1], "sha256": hashlib.sha256(program.read_bytes()).hexdigest()}
