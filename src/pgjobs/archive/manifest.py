"""The manifest beside an archive, pyspark_venv.tar.gz.json: what it is, what is in it, and where that comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

from pgjobs.archive import provenance
from pgjobs.archive.target import Target
from pgjobs.archive.wheels import Wheel, origin

NAME = "pyspark_venv.tar.gz"


def beside(archive: Path) -> Path:
    """Where the manifest of an archive is."""
    return archive.with_name(f"{archive.name}.json")


def describe(packed: Path, site: Path, target: Target, inputs: provenance.Inputs) -> dict[str, object]:
    """The manifest.

    Args:
        packed: the archive.
        site: the folder of the packages that were packed.
        target: what it was made for.
        inputs: what it was made of.
    """
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    return {
        "archive": NAME,
        "sha256": digest,
        "bytes": packed.stat().st_size,
        "release": target.release,
        "python": target.version,
        "interpreter": target.interpreter,
        "architecture": target.architecture,
        "git_commit": inputs.commit,
        "packages": sorted(map(package, distributions(site)), key=lambda one: one["name"]),
        "provenance": provenance.statement(NAME, digest, inputs, provenance.builder_versions()),
    }


def origins(site: Path, suitable: Sequence[Wheel]) -> list[Wheel]:
    """The wheels that the packages in a folder were installed from; one that cannot be told is left out."""
    found = (
        origin(one.metadata["Name"], one.version, one.read_text("WHEEL") or "", suitable) for one in distributions(site)
    )
    return [wheel for wheel in found if wheel is not None]


def distributions(site: Path) -> Iterable[Distribution]:
    """What is installed in a folder."""
    return (PathDistribution(path) for path in sorted(site.glob("*.dist-info")))


def package(distribution: Distribution) -> dict[str, str]:
    """A package's name, version, and the hash of the list of its files, which holds the hash of each."""
    record = distribution.read_text("RECORD") or ""
    return {
        "name": distribution.metadata["Name"],
        "version": distribution.version,
        "record_sha256": hashlib.sha256(record.encode()).hexdigest(),
    }
