"""The entrypoint of a submission: a marked job or a module of the archive, a file of this machine, or an object in S3.

load_table                     a name that the archive lists in its pgjobs.json
acme_jobs.nightly_totals       any module of the archive
path/to/job.py                 a file, which is uploaded
s3://bucket/job.py             an object that is used as it is
"""

from __future__ import annotations

import ast
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pgjobs.archive.project import MARKS, OF_PYTHON, OWN_ENTRYPOINTS
from pgjobs.aws import split_uri
from pgjobs.errors import DeployError


@dataclass(frozen=True)
class Entry:
    """An entrypoint.

    Attributes:
        name: What the user gave, or its last part: the run's default name, and that of the script in S3.
        module: The module in the archive; empty for others.
        content: The text of the script; None for an object in S3.
        uri: The URI of an object in S3.
        path: Where the script is: its path in the archive if it is a module, and otherwise its file.
    """

    name: str
    module: str = ""
    content: bytes | None = None
    uri: str = ""
    path: str = ""

    @property
    def own(self) -> str:
        """Return the short name of a job of pgjobs, of which more is known; empty for other jobs."""
        return next((name for name, module in OWN_ENTRYPOINTS.items() if module == self.module), "")


def find_entry(text: str, archive: Path) -> Entry:
    """Return the entrypoint that a user means.

    Raises:
        DeployError: There is none, it cannot run as a script, or the archive is none.
    """
    try:
        with tarfile.open(archive) as opened:
            if re.match(r"s3[an]?://", text):
                entry = _of_s3(text)
            else:
                entry = _of_file(Path(text)) if text.endswith(".py") else _of_archive(text, opened)
            faults = list(_faults(entry, _packages(opened)))
    except (tarfile.TarError, EOFError) as error:
        raise DeployError(f"{archive} is not an archive ({error}): run pgjobs package.") from None
    if faults:
        raise DeployError(f"{text} cannot run as a script. {' '.join(faults)}")
    return entry


def _of_s3(uri: str) -> Entry:
    split_uri(uri)
    if not uri.endswith(".py"):
        raise DeployError(f"{uri} is not a Python script: its name must end in .py.")
    return Entry(uri.rpartition("/")[2][: -len(".py")], uri=uri)


def _of_file(path: Path) -> Entry:
    if not path.is_file():
        raise DeployError(f"There is no file {path}.")
    return Entry(path.stem, content=path.read_bytes(), path=str(path))


def _of_archive(text: str, archive: tarfile.TarFile) -> Entry:
    modules = {
        match[1].replace("/", "."): name
        for name in archive.getnames()
        for match in [re.fullmatch(r"lib/python[\d.]+/site-packages/((?:\w+/)+\w+)\.py", name)]
        if match
    }
    marked = {name: module for name, module in _marked(archive).items() if module in modules}
    module = marked.get(text, text)
    if module not in modules:
        close = get_close_matches(text, [*marked, *(name for name in modules if "." in text)], n=1, cutoff=0.75)
        meant = f": did you mean {close[0]}?" if close else f"; it has {', '.join(marked)}."
        raise DeployError(
            f"The archive has no job {text!r}{meant} A job of your own is a module of it, or a file: path/to/job.py."
        )
    member = archive.extractfile(modules[module])
    return Entry(text, module, member.read() if member else b"", path=modules[module])


def _marked(archive: tarfile.TarFile) -> Mapping[str, str]:
    """Return the jobs that the archive lists. An archive of an earlier version lists none."""
    if MARKS not in archive.getnames():
        return OWN_ENTRYPOINTS
    member = archive.extractfile(MARKS)
    listed = json.loads(member.read()).get("entrypoints", {}) if member else {}
    return {str(name): str(module) for name, module in listed.items()}


def _faults(entry: Entry, packed: frozenset[str]) -> Iterator[str]:
    """Yield the reasons why an entrypoint would fail as a script, which is how Spark runs it, and what to do.

    Args:
        entry: The entrypoint.
        packed: The names that can be imported from the archive.
    """
    file, rename = f"{entry.name}.py", "Give the entrypoint" if entry.module else "Give the file"
    if re.search(r"[\s#]", entry.name):
        yield f"Spark allows neither blanks nor # in a script's name: {rename.lower()} another one."
    if entry.name in packed | OF_PYTHON:
        yield f"Python would import {file} in place of the module {entry.name}. {rename} another name."
    relative = next(_relative_imports(entry.content or b""), None)
    if relative is not None:
        package = entry.module.rpartition(".")[0] or "acme_jobs"
        yield (
            f"Line {relative.lineno} has a relative import, and a script belongs to no package. "
            f"Write the full name, as in: from {package} import ..."
        )


def _relative_imports(script: bytes) -> Iterator[ast.ImportFrom]:
    """Yield the relative imports that a script executes at its beginning."""
    try:
        statements = ast.parse(script).body
    except (SyntaxError, ValueError):  # syntax of a newer Python than this one
        return
    yield from (one for one in statements if isinstance(one, ast.ImportFrom) and one.level)


def packages_of(archive: Path) -> frozenset[str]:
    """Return the names that can be imported from an archive, except those of the standard library."""
    with tarfile.open(archive) as opened:
        return _packages(opened)


def _packages(archive: tarfile.TarFile) -> frozenset[str]:
    found = (re.match(r"lib/python[\d.]+/site-packages/(\w+)(\.py$|/)", name) for name in archive.getnames())
    return frozenset(match[1] for match in found if match)
