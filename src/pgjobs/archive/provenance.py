"""The provenance of an archive as an in-toto statement with SLSA's predicate: its sources, inputs and builder.

https://in-toto.io/Statement/v1, https://slsa.dev/spec/v1.0/provenance. It is not signed. It contains nothing about the
time or the machine: the same inputs and builder give the same statement.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pgjobs.archive.packages.wheels import Wheel
from pgjobs.archive.sources import DIRTY, Sources
from pgjobs.distribution import DISTRIBUTION

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:pgjobs:archive:v1"
SOURCE = "source"
"""The statement's name for the commit."""
OWN = "pgjobs"
"""The statement's name for pgjobs, where its jobs do not come from the project's commit."""
OWN_LOCK = "pgjobs/runtime.lock"
"""The statement's name for the lock file of pgjobs, which is part of its wheel."""


@dataclass(frozen=True)
class Origin:
    """Where files of an archive come from.

    Attributes:
        name: SOURCE for the project, OWN for pgjobs, and the package's name for packages of other folders.
        commit: As in sources.Sources; empty without git.
        version: The version of the installed distribution; empty for a work tree.
        digest: The SHA-256 of all files, where there is no commit.
    """

    name: str
    commit: str
    version: str = ""
    digest: str = ""


def origins(found: Sequence[Sources]) -> list[Origin]:
    """Return the origins of the files: those of pgjobs first, then those of the project.

    A clone of pgjobs that packs no other project is a project itself.
    """
    own, *projects = found
    named = [(SOURCE, own)] if not projects and own.commit else [(OWN, own)]
    named += [(SOURCE if not number else Path(one.folders[0]).name, one) for number, one in enumerate(projects)]
    return [Origin(name, one.commit, one.version, "" if one.commit else one.digest) for name, one in named]


@dataclass(frozen=True)
class Inputs:
    """The inputs of an archive.

    Attributes:
        origins: Where the files of pgjobs and of the project come from.
        locks: The contents of the requirements files, by name.
        wheels: The wheels that were packed.
        parameters: The options of the caller.
    """

    origins: Sequence[Origin]
    locks: Mapping[str, bytes]
    wheels: Sequence[Wheel]
    parameters: Mapping[str, object]

    @property
    def commit(self) -> str:
        """Return the commit of the project; empty without git."""
        return next((one.commit for one in self.origins if one.name == SOURCE), "")


def statement(name: str, digest: str, inputs: Inputs, builder: Mapping[str, str]) -> dict[str, object]:
    """Return the statement about an archive.

    Args:
        name: The name of the archive.
        digest: Its SHA-256.
        inputs: Its inputs.
        builder: The versions of the tools that built it, by name.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(inputs.parameters),
                "resolvedDependencies": [*map(_source, inputs.origins), *_locks(inputs.locks), *_wheels(inputs.wheels)],
            },
            "runDetails": {"builder": {"id": BUILD_TYPE, "version": dict(builder)}},
        },
    }


def _source(origin: Origin) -> dict[str, object]:
    """Return the commit, and whether the work tree was clean. SLSA has no field for the latter: it is an annotation."""
    if not origin.commit:
        annotations = {"version": origin.version} if origin.version else {}
        return {"name": origin.name, "digest": {"sha256": origin.digest}, "annotations": annotations}
    digest = {"gitCommit": origin.commit.removesuffix(DIRTY)}
    return {"name": origin.name, "digest": digest, "annotations": {"clean": not origin.commit.endswith(DIRTY)}}


def _locks(locks: Mapping[str, bytes]) -> list[dict[str, object]]:
    """Return the requirements files. Their entries are those without a URI and annotations."""
    return [
        {"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}
        for name, content in sorted(locks.items())
    ]


def _wheels(wheels: Sequence[Wheel]) -> list[dict[str, object]]:
    return [
        {"name": wheel.file, "uri": package_url(wheel.package, wheel.version), "digest": {"sha256": wheel.sha256}}
        for wheel in sorted(wheels, key=lambda wheel: wheel.file)
    ]


def package_url(package: str, number: str) -> str:
    """Return the identifier of a Python package in SBOMs: pkg:pypi/pg8000@1.31.6.

    https://github.com/package-url/purl-spec
    """
    return f"pkg:pypi/{package}@{number.replace('+', '%2B')}"


def builder_versions() -> dict[str, str]:
    """Return the versions of the tools that build on this machine."""
    return {"pgjobs": _version(DISTRIBUTION), "python": platform.python_version(), "uv": _version("uv")}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def lock_name(path: Path, root: Path) -> str:
    """Return the statement's name of a requirements file: its path below the project's folder, or else its name."""
    resolved, root = path.resolve(), root.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else path.name


def dependencies(document: object) -> list[Mapping[str, object]]:
    """Return the inputs that a statement names; nothing if it is not one of ours."""
    predicate = document.get("predicate") if isinstance(document, dict) else None
    definition = predicate.get("buildDefinition") if isinstance(predicate, dict) else None
    listed = definition.get("resolvedDependencies") if isinstance(definition, dict) else None
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def is_commit(text: object) -> bool:
    """Return whether a text is a complete commit id."""
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None
