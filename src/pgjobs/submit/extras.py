"""Files that a job needs beside the archive: Python modules, data files, jars. Each is uploaded under its own SHA-256.

They are for what changes more often than the archive, or is not Python. A package of jobs belongs into the archive.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pgjobs.aws import split_uri
from pgjobs.errors import DeployError
from pgjobs.submit.entry import packages_of
from pgjobs.submit.payload import Extra


@dataclass(frozen=True)
class Kind:
    """A kind of extra files.

    Attributes:
        flag: The flag of submit, which is spark-submit's.
        key: Spark's configuration.
        endings: What the names of such files end in; empty for anything.
    """

    flag: str
    key: str
    endings: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "py_files": Kind("--py-files", "spark.submit.pyFiles", (".py", ".zip", ".egg")),
    "files": Kind("--files", "spark.files"),
    "jars": Kind("--jars", "spark.jars", (".jar",)),
}
"""Kinds by the options that list them. https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-spark.html"""


def read_extras(given: Mapping[str, Sequence[str]], code: str, archive: Path) -> tuple[Extra, ...]:
    """Read the files to send, and note those that are in S3 already.

    Args:
        given: Files and S3 URIs by kind. One text may list several, separated by commas, as for spark-submit.
        code: The S3 URI under which files are stored.
        archive: The archive beside which they are used.

    Raises:
        DeployError: A file does not exist, is of another kind, or hides something of the archive or of its own kind.
    """
    extras = []
    for name, kind in KINDS.items():
        texts = [text for listed in given.get(name, ()) for text in listed.split(",") if text]
        extras += [_extra(kind, text, code.rstrip("/")) for text in texts]
        _refuse_namesakes(kind, texts)
    python = [extra for extra in extras if extra.key == KINDS["py_files"].key and extra.content is not None]
    if python:
        _refuse_shadows(python, packages_of(archive))
    return tuple(extras)


def conf_of(extras: Sequence[Extra]) -> dict[str, str]:
    """Return Spark's configuration that names the files."""
    keys = dict.fromkeys(extra.key for extra in extras)
    return {key: ",".join(extra.uri for extra in extras if extra.key == key) for key in keys}


def python_files(extras: Sequence[Extra]) -> dict[str, bytes]:
    """Return the contents of the Python files that are on this machine, by name."""
    key = KINDS["py_files"].key
    return {Path(extra.path).name: extra.content for extra in extras if extra.key == key and extra.content is not None}


def refuse_stated_twice(extras: Sequence[Extra], stated: Mapping[str, str]) -> None:
    """Refuse configuration that would replace the list of files.

    Raises:
        DeployError: Names the key.
    """
    for kind in KINDS.values():
        if kind.key in stated and any(extra.key == kind.key for extra in extras):
            raise DeployError(f"Both {kind.flag} and {kind.key} list files, and one would hide the other: give one.")


def _extra(kind: Kind, text: str, code: str) -> Extra:
    name = PurePosixPath(text).name if "://" in text else Path(text).name
    if kind.endings and not name.endswith(kind.endings):
        raise DeployError(f"{kind.flag} {text}: a name that ends in {' or '.join(kind.endings)} is expected.")
    if re.search(r"[\s#]", name):
        raise DeployError(f"{kind.flag} {text}: Spark's lists of files allow neither blanks nor # in a name.")
    if "://" in text:
        split_uri(text)
        return Extra(kind.key, text)
    path = Path(text)
    if not path.is_file():
        raise DeployError(f"{kind.flag}: there is no file {text}{' (it is a folder)' if path.is_dir() else ''}.")
    content = path.read_bytes()
    return Extra(kind.key, f"{code}/files/{hashlib.sha256(content).hexdigest()}/{name}", content, str(path))


def _refuse_namesakes(kind: Kind, texts: Sequence[str]) -> None:
    """Refuse files of the same name: a worker has one folder for all of them.

    Raises:
        DeployError: Names them.
    """
    for number, text in enumerate(texts):
        for other in texts[number + 1 :]:
            if PurePosixPath(text).name == PurePosixPath(other).name:
                raise DeployError(f"{kind.flag} {text} and {other} have the same name: a worker would see only one.")


def _refuse_shadows(extras: Sequence[Extra], packed: frozenset[str]) -> None:
    """Refuse modules that Python would find in place of the archive's.

    Args:
        extras: Python files.
        packed: The names that can be imported from the archive.

    Raises:
        DeployError: Names the first such file.
    """
    for extra in extras:
        hidden = sorted(set(_importable(extra)) & packed)
        if hidden:
            raise DeployError(
                f"--py-files {extra.path} contains {', '.join(hidden)}, which the archive contains, too: Python would "
                "import one for the other. Rename it, or pack it by pgjobs package."
            )


def _importable(extra: Extra) -> Iterator[str]:
    """Yield the names that can be imported from a file.

    Raises:
        DeployError: It is not a ZIP file although its name says so.
    """
    path = Path(extra.path)
    if path.suffix == ".py":
        yield path.stem
        return
    try:
        with zipfile.ZipFile(path) as opened:
            yield from {name.partition("/")[0].removesuffix(".py") for name in opened.namelist()}
    except zipfile.BadZipFile:
        raise DeployError(f"--py-files {extra.path} is not a ZIP file.") from None
