"""The contents of an archive as a CycloneDX bill of materials (SBOM), for scanners.

It is built only from the archive and its manifest, and contains no time: the same archive gives the same text. Its
serial number is derived from the archive's hash.

https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution

from pgjobs.archive import provenance
from pgjobs.archive.packages.wheels import normalized

SPECIFICATION = "1.6"
_NAMESPACE = uuid.UUID("6f0c0f0e-6a5b-5d0c-8d58-5c1b7f0a3d11")
"""The namespace of our serial numbers: an arbitrary UUID that never changes."""
_LONGEST_NAME = 100
"""The maximum length of a license's name; older packages have the whole license text in that field."""


@dataclass(frozen=True)
class Package:
    """A packed package.

    Attributes:
        license: An SPDX expression, or a name; empty if its metadata has none.
        needs: Normalized names of the packages that it requires, on any platform, without extras.
    """

    name: str
    version: str
    license: str
    is_expression: bool
    needs: frozenset[str]

    @property
    def url(self) -> str:
        """Return the identifier by which other documents refer to it."""
        return provenance.package_url(normalized(self.name), self.version)


def package(distribution: Distribution) -> Package:
    """Return the package that the metadata describes."""
    metadata = distribution.metadata
    # Read as lists: Pythons differ in how they return a field that is missing.
    expression, text = (" ".join(metadata.get_all(field) or []) for field in ("License-Expression", "License"))
    named = expression or _license(text, metadata.get_all("Classifier") or [])
    needs = frozenset(
        normalized(re.split(r"[^\w.-]", need.strip(), maxsplit=1)[0])
        for need in distribution.requires or []
        if "extra ==" not in need
    )
    return Package(metadata["Name"], distribution.version, named, bool(expression), needs)


def _license(text: str, classifiers: Iterable[str]) -> str:
    """Return the name of a license, for metadata without a license expression."""
    if text.strip() and "\n" not in text.strip() and len(text) <= _LONGEST_NAME:
        return text.strip()
    classified = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    return " AND ".join(classified)


def bill(manifest: Mapping[str, object], packages: Sequence[Package]) -> dict[str, object]:
    """Return the bill of materials.

    Args:
        manifest: The manifest of the archive.
        packages: The packages in the archive.
    """
    digest = str(manifest["sha256"])
    listed = provenance.dependencies(manifest.get("provenance"))
    wheels = {str(entry.get("uri")): str(_mapping(entry.get("digest")).get("sha256")) for entry in listed}
    ordered = sorted(packages, key=lambda one: one.url)
    carried = _interpreter(_mapping(manifest.get("carried_interpreter")))
    present = {normalized(one.name): one.url for one in ordered}
    parts = [
        {"ref": one.url, "dependsOn": sorted(present[need] for need in one.needs if need in present)} for one in ordered
    ]
    roots = sorted(set(present.values()).difference(*(part["dependsOn"] for part in parts)))
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": uuid.uuid5(_NAMESPACE, digest).urn,
        "version": 1,
        "metadata": {"component": _archive(manifest, digest)},
        "components": [*(_component(one, wheels.get(one.url)) for one in ordered), *carried],
        "dependencies": [{"ref": digest, "dependsOn": [*roots, *(str(one["bom-ref"]) for one in carried)]}, *parts],
    }


def _archive(manifest: Mapping[str, object], digest: str) -> dict[str, object]:
    shown = ("release", "architecture", "python", "git_commit")
    return {
        "type": "application",
        "bom-ref": digest,
        "name": "pgjobs",
        "version": str(manifest.get("git_commit") or digest),
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "properties": [{"name": f"pgjobs:{name}", "value": str(manifest.get(name, ""))} for name in shown],
    }


def _component(one: Package, digest: str | None) -> dict[str, object]:
    """Return the entry of a package. Its hash is that of its wheel."""
    component: dict[str, object] = {
        "type": "library",
        "bom-ref": one.url,
        "name": one.name,
        "version": one.version,
        "purl": one.url,
    }
    if digest:
        component["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if one.license:
        component["licenses"] = [
            {"expression": one.license} if one.is_expression else {"license": {"name": one.license}}
        ]
    return component


def _interpreter(carried: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the entry of the interpreter in a self-contained archive."""
    if not carried:
        return []
    url = f"pkg:generic/cpython@{carried['version']}"
    return [
        {
            "type": "platform",
            "bom-ref": url,
            "name": "CPython",
            "version": str(carried["version"]),
            "purl": url,
            "hashes": [{"alg": "SHA-256", "content": str(carried["sha256"])}],
        }
    ]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
