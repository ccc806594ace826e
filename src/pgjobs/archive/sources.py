"""Which files of this project go into the archive, and under which version: those that git tracks.

Other files beside them (a .env, notes, data, a module that was not added) are left out and listed. Without git, the
files are those that pyproject.toml declares as the package: modules, and its package-data.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

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
        files: Paths below the project's folder.
        left_out: Paths of other files beside them.
        commit: The commit, with the suffix "-dirty" if the work tree differs from it; empty without git.
        reason: Why git was not used, or could not answer; empty if it did.
    """

    files: tuple[str, ...]
    left_out: tuple[str, ...]
    commit: str = ""
    reason: str = ""


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
        return Sources(_sorted(tracked), _sorted(present - tracked), commit + (DIRTY if unclean else ""))
    declared = set(_declared(root, present))
    if not declared:
        raise DeployError(f"There is nothing to pack in {', '.join(folders)} below {root}.")
    return Sources(_sorted(declared), _sorted(present - declared), reason=git.reason or "git tracks none of it")


def copy_sources(sources: Sources, root: Path, site: Path) -> None:
    """Copy the files to a folder of packages: src/jobs/load_table.py becomes jobs/load_table.py."""
    for name in sources.files:
        target = site.joinpath(*Path(name).parts[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target, follow_symlinks=False)


def describe(sources: Sources) -> list[str]:
    """Return lines about what is packed."""
    lines = []
    if sources.reason:
        lines.append(f"Packed without git ({sources.reason}): what pyproject.toml declares as the package.")
    elif sources.commit.endswith(DIRTY):
        lines.append(f"The work tree differs from its commit; the archive's version is {sources.commit}.")
    if sources.left_out:
        shown = ", ".join(sources.left_out[:MOST_TOLD])
        more = f" and {len(sources.left_out) - MOST_TOLD} more" if len(sources.left_out) > MOST_TOLD else ""
        hint = "" if sources.reason else " To pack a file of a job, `git add` it."
        lines.append(f"Left out: {shown}{more}.{hint}")
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
