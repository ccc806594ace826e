"""Which files of a project go into the archive, and under which version: those that git tracks.

Other files beside them (a .env, notes, data, a module that was not added) are left out and listed. Without git, the
files are those that pyproject.toml declares as the package: modules, and its package-data. The files of pgjobs itself
are those of its clone, or those of the wheel that is installed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePath, PurePosixPath

from pgjobs.distribution import DISTRIBUTION
from pgjobs.errors import DeployError
from pgjobs.toml import read_toml

_WHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Variables that git sets for hooks. They would direct git to another repository or index."""

DIRTY = "-dirty"
"""Follows the name of a commit if the work tree differs from it."""

MOST_TOLD = 10
"""The number of omitted files that are listed by name."""


@dataclass(frozen=True)
class Sources:
    """The files to pack.

    Attributes:
        root: The folder of the project.
        folders: The folders of the packages below it.
        files: Paths below the project's folder.
        left_out: Paths of other files beside them.
        commit: The commit, with the suffix "-dirty" if the work tree differs from it; empty without git.
        reason: Why git was not used, or could not answer; empty if it did.
        version: The version of the installed distribution to which they belong; empty for a work tree.
    """

    root: Path
    folders: tuple[str, ...]
    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    commit: str = ""
    reason: str = ""
    version: str = ""

    @property
    def targets(self) -> dict[str, Path]:
        """Return the files by their names in the archive's folder of packages: jobs/load_table.py."""
        return {_target(name, self.folders): self.root / name for name in self.files}

    @property
    def digest(self) -> str:
        """Return the digest of all files."""
        return digest(self.targets)


def _target(name: str, folders: Sequence[str]) -> str:
    folder = next(PurePosixPath(folder) for folder in folders if PurePosixPath(folder) in PurePosixPath(name).parents)
    return (PurePosixPath(folder.name) / PurePosixPath(name).relative_to(folder)).as_posix()


def digest(files: Mapping[str, Path]) -> str:
    """Return one SHA-256 for the names and contents of files."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


OWN = ("jobs", "pyspark_pgcopy")
"""The packages of pgjobs that run on EMR."""

HOME = Path(__file__).resolve().parents[2]
"""The folder of pgjobs's packages: src in a clone, site-packages where the wheel is installed."""


def own_sources(environ: Mapping[str, str] = os.environ) -> Sources:
    """Determine the files of pgjobs itself.

    Raises:
        DeployError: The installed files differ from those of the wheel.
    """
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:  # a clone on PYTHONPATH
        return find_sources(HOME.parent, [f"{HOME.name}/{name}" for name in OWN], environ)
    files = tuple(sorted(str(file) for file in installed.files or () if _is_source(file)))
    if not files or Path(str(installed.locate_file(""))).resolve() != HOME:  # an editable installation lists no files
        return find_sources(HOME.parent, [f"{HOME.name}/{name}" for name in OWN], environ)
    changed = changed_files(installed)
    if changed:
        raise DeployError(f"{', '.join(changed[:MOST_TOLD])} differs from pgjobs {installed.version}: reinstall it.")
    return Sources(HOME, OWN, files, version=installed.version)


def _is_source(file: PurePath) -> bool:
    return file.parts[0] in OWN and file.suffix != ".pyc"


def changed_files(installed: Distribution) -> list[str]:
    """Return the files of pgjobs that are missing or differ from what the wheel's RECORD lists."""
    return [
        str(file)
        for file in installed.files or ()
        if _is_source(file) and file.hash and file.hash.value != _of_record(Path(str(file.locate())))
    ]


def _of_record(path: Path) -> str:
    """Return the SHA-256 of a file in the notation of RECORD; empty if there is no such file."""
    content = path.read_bytes() if path.is_file() else None
    return "" if content is None else base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def find_sources(root: Path, folders: Sequence[str], environ: Mapping[str, str] = os.environ) -> Sources:
    """Determine the files to pack.

    Args:
        root: The project's folder.
        folders: The folders of the packages below it.
        environ: The environment variables, for git.

    Raises:
        DeployError: There is nothing to pack.
    """
    present = {path.relative_to(root).as_posix() for folder in folders for path in _files_below(root / folder)}
    git = Git(root, environ)
    tracked = set(git.lines("ls-files", "-z", "--", *folders)) & present
    if tracked:
        untracked = git.lines("ls-files", "-z", "--others", "--exclude-standard", "--", *folders)
        commit = git.commit()
        unclean = commit and any(untracked) and not commit.endswith(DIRTY)
        version = commit + (DIRTY if unclean else "")
        return Sources(root, tuple(folders), _sorted(tracked), _sorted(present - tracked), version)
    declared = set(_declared(root, present))
    if not declared:
        raise DeployError(f"There is nothing to pack in {', '.join(folders)} below {root}.")
    reason = git.reason or "git tracks none of it"
    return Sources(root, tuple(folders), _sorted(declared), _sorted(present - declared), reason=reason)


def copy_sources(sources: Sources, site: Path) -> None:
    """Copy the files to a folder of packages: src/jobs/load_table.py becomes jobs/load_table.py."""
    for name, path in sources.targets.items():
        target = site / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)


def describe(sources: Sources) -> list[str]:
    """Return lines about what is packed."""
    lines = []
    if sources.reason:
        lines.append(f"Packed without git ({sources.reason}): modules, and what pyproject.toml declares as data.")
    elif sources.commit.endswith(DIRTY):
        lines.append(f"The work tree differs from its commit; the archive's version is {sources.commit}.")
    if sources.left_out:
        shown = ", ".join(sources.left_out[:MOST_TOLD])
        more = f" and {len(sources.left_out) - MOST_TOLD} more" if len(sources.left_out) > MOST_TOLD else ""
        hint = "declare it as package-data" if sources.reason else "`git add` it"
        lines.append(f"Left out: {shown}{more}. To pack a file of a job, {hint}.")
    return lines


class Git:
    """Runs git in a folder.

    Attributes:
        reason: Why it did not answer; empty as long as it does.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.reason = ""
        self._root = root
        self._environ = {name: value for name, value in environ.items() if name not in _WHERE}

    def lines(self, *arguments: str) -> list[str]:
        """Return the names that a command prints with -z; none if git does not answer."""
        return [name for name in self._run(*arguments).split("\0") if name]

    def commit(self) -> str:
        """Return the commit, with the suffix if the work tree differs from it; empty if there is no commit."""
        return self._run("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*").strip()

    def _run(self, *arguments: str) -> str:
        command = ["git", "-C", str(self._root), *arguments]
        try:
            completed = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False)
        except OSError as error:
            self.reason = f"git: {error.strerror}"
            return ""
        if completed.returncode:
            self.reason = (completed.stderr.strip().splitlines() or ["git failed"])[0]
            return ""
        return completed.stdout


def _files_below(folder: Path) -> list[Path]:
    """Return all files and links, except those that Python itself generates."""
    return [
        path
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and "__pycache__" not in path.parts and path.suffix != ".pyc"
    ]


def _declared(root: Path, present: set[str]) -> list[str]:
    """Return the files that pyproject.toml declares as parts of a package."""
    file = root / "pyproject.toml"
    table = read_toml(file.read_text(encoding="utf-8")) if file.is_file() else {}
    data = table.get("tool", {}).get("setuptools", {}).get("package-data", {})
    patterns = ["*.py", *(pattern for patterns in data.values() for pattern in patterns)]
    return [name for name in present if any(fnmatch(Path(name).name, pattern) for pattern in patterns)]


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
