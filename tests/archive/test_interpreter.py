"""The archive that carries an interpreter: it runs wherever it is unpacked, and says what it is."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from standin import VERSION, carrying, stand_in_of_this, this_machine

from pgjobs.__main__ import command
from pgjobs.archive.build import build
from pgjobs.archive.elf import library_faults
from pgjobs.archive.inspection import carried_version, inspect_archive
from pgjobs.archive.manifest import NAME
from pgjobs.archive.tarball import unpack
from pgjobs.archive.target import target_for
from pgjobs.errors import DeployError


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_in_of_this(tmp_path_factory)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carrying(tmp_path_factory)


def test_its_python_runs_at_home_where_it_is_unpacked(archive: Path, tmp_path: Path) -> None:
    unpack(archive, tmp_path / "environment")
    code = "import sys, ssl, ctypes, zoneinfo, pg8000, jobs; print(sys.prefix, sys.base_prefix, pg8000.__file__)"
    done = subprocess.run(
        ["./environment/bin/python", "-c", code], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    home = str(tmp_path / "environment")
    assert done.stdout.split() == [home, home, f"{home}/lib/python{VERSION}/site-packages/pg8000/__init__.py"], done


def test_it_leaves_out_what_no_worker_needs(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        names = opened.getnames()
    library = f"lib/python{VERSION}"
    for name in ("test", "idlelib", "tkinter", "ensurepip", "pyvenv.cfg"):
        assert f"{library}/{name}" not in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".a")]
    assert "pyvenv.cfg" not in names


def test_its_manifest_names_the_interpreter(archive: Path) -> None:
    manifest = json.loads(archive.with_name(f"{NAME}.json").read_text())
    assert manifest["interpreter"] == f"bin/python{VERSION}"
    assert manifest["carried_interpreter"]["version"].startswith(f"{VERSION}.")
    assert len(manifest["carried_interpreter"]["sha256"]) == 64


def test_it_does_not_tell_where_it_was_built(archive: Path, interpreter: Path) -> None:
    """Uv writes the interpreter's folder into sysconfig's data: another folder would be another archive."""
    with tarfile.open(archive) as opened:
        told = [opened.extractfile(member) for member in opened if "_sysconfigdata" in member.name and member.isfile()]
        assert told
        assert all(file is not None and str(interpreter).encode() not in file.read() for file in told)


def test_it_is_checked_as_any_other(archive: Path) -> None:
    assert carried_version(archive) == VERSION
    faults = [str(fault) for fault in inspect_archive(archive, replace(this_machine(), glibc=(2, 1)), with_extras=True)]
    assert any("needs glibc 2." in fault for fault in faults)


def test_a_library_that_the_target_lacks_is_found() -> None:
    """As of this machine's own Python: it looks for its library by an absolute path, or this is no shared build."""
    program = Path(os.path.realpath(f"/proc/{os.getpid()}/exe")).read_bytes()
    if f"libpython{VERSION}.so.1.0".encode() not in program:
        pytest.skip("this machine's Python has its library inside")
    names = {f"lib/libpython{VERSION}.so.1.0"}
    [fault] = library_faults(program, PurePosixPath("bin"), names)
    assert f"needs libpython{VERSION}.so.1.0" in fault


def test_the_version_to_carry_is_stated_as_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["package", "--self-contained", "--python", "/usr/bin/python3.12"]) == 2
    assert "give 3.12, for example" in capsys.readouterr().err
    assert target_for("emr-7.13.0", "arm64", carried=True).interpreter == "bin/python3.9"


def test_a_folder_without_the_interpreter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=f"has no bin/python{VERSION}"):
        build(this_machine(), tmp_path / "dist", carried=tmp_path)
