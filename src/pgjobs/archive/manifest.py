"""The manifest beside an archive, pyspark_venv.tar.gz.json: the archive's hash, contents and origin."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

from pgjobs.archive import provenance
from pgjobs.archive.packages.wheels import Wheel, origin
from pgjobs.archive.target import BuildTarget

NAME = "pyspark_venv.tar.gz"


def beside(archive: Path) -> Path:
    """Return the path of an archive's manifest."""
    return archive.with_name(f"{archive.name}.json")


def describe(packed: Path, site: Path, target: BuildTarget, inputs: provenance.Inputs) -> dict[str, object]:
    """Return the manifest.

    Args:
        packed: The archive.
        site: The folder of the packages that were packed.
        target: What it was built for.
        inputs: What it was built from.
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
    """Return the wheels from which the packages in a folder were installed. Unknown wheels are omitted."""
    found = (
        origin(one.metadata["Name"], one.version, one.read_text("WHEEL") or "", suitable) for one in distributions(site)
    )
    return [wheel for wheel in found if wheel is not None]


def distributions(site: Path) -> Iterable[Distribution]:
    """Return the distributions that are installed in a folder."""
    return (PathDistribution(path) for path in sorted(site.glob("*.dist-info")))


def package(distribution: Distribution) -> dict[str, str]:
    """Return a package's name, its version, and the hash of the list of its files, which contains the hash of each."""
    record = distribution.read_text("RECORD") or ""
    return {
        "name": distribution.metadata["Name"],
        "version": distribution.version,
        "record_sha256": hashlib.sha256(record.encode()).hexdigest(),
    }
