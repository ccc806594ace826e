"""Checks that an archive is what its manifest says, and has the origin that its manifest names.

A difference is a finding and fails. What cannot be compared here (the clone of another commit, another lock file) is
only reported.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pgjobs.archive import manifest, provenance
from pgjobs.archive.build import LOCK
from pgjobs.archive.inspection import Finding
from pgjobs.archive.packages.wheels import hashes, normalized
from pgjobs.archive.sources import OWN, Git, Sources, digest
from pgjobs.archive.tarball import unpack_packages


@dataclass
class Comparison:
    """The result of a comparison.

    Attributes:
        findings: Faults.
        notes: Lines about what was compared, and what could not be.
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(archive: Path, root: Path, ours: Sequence[str], own: Sources, *, others: Sequence[str] = ()) -> Comparison:
    """Compare an archive with its manifest, its lock files and its commit.

    Args:
        archive: The .tar.gz. Its paths have been inspected.
        root: The project's folder, a git clone.
        ours: The folders of the project's own packages below it.
        own: The files of pgjobs here.
        others: The names of the project's packages elsewhere, which no commit of the project has.
    """
    beside = manifest.beside(archive)
    if not beside.is_file():
        return Comparison(notes=[f"There is no manifest {beside}: the origin of the archive was not checked."])
    described = read(beside.read_bytes())
    if described is None:
        return Comparison([Finding(str(beside), "is no manifest")])
    result = Comparison(list(_subject(beside, described, archive.read_bytes())))
    listed = provenance.dependencies(described.get("provenance"))
    if not listed:
        result.notes.append(f"{beside} contains no provenance: an earlier version made it.")
    with tempfile.TemporaryDirectory(prefix="pgjobs-verify-") as scratch:
        site = unpack_packages(archive, Path(scratch))
        result.findings += [
            *_packages(described, site),
            *_files(site, [*OWN, *(Path(folder).name for folder in ours), *others]),
        ]
        if listed:
            _compare_locks(result, listed, described, root)
            _compare_own(result, listed, site, own)
            _compare_sources(result, listed, site, Git(root, os.environ), ours)
    return result


def read(content: bytes) -> Mapping[str, object] | None:
    """Return the content of a manifest; None if it is not a manifest."""
    try:
        return _mapping(json.loads(content)) or None
    except ValueError:
        return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _subject(beside: Path, described: Mapping[str, object], content: bytes) -> Iterator[Finding]:
    sha256 = hashlib.sha256(content).hexdigest()
    if described.get("sha256") != sha256:
        yield Finding(str(beside), f"describes another archive: this one's SHA-256 is {sha256}")
    statement = _mapping(described.get("provenance"))
    if statement and statement.get("subject") != [{"name": manifest.NAME, "digest": {"sha256": sha256}}]:
        yield Finding(str(beside), "its provenance is another archive's")


def _packages(described: Mapping[str, object], site: Path) -> Iterator[Finding]:
    """Yield the packages that differ from those of the manifest."""
    recorded = described.get("packages")
    listed = {str(entry.get("name")): entry for entry in map(_mapping, recorded if isinstance(recorded, list) else [])}
    installed = {entry["name"]: entry for entry in map(manifest.package, manifest.distributions(site))}
    for name in sorted(listed.keys() | installed.keys()):
        if name not in installed:
            yield Finding(name, "is in the manifest, and not in the archive")
        elif installed[name] != listed.get(name):
            yield Finding(name, f"version {installed[name]['version']} differs from the manifest")


def _files(site: Path, ours: Sequence[str]) -> Iterator[Finding]:
    """Yield the files that differ from the lists of their packages, or are in no list."""
    known = {f"{info.name}/RECORD" for info in site.glob("*.dist-info")}
    for info in sorted(site.glob("*.dist-info")):
        for name, listed, *_ in csv.reader((info / "RECORD").read_text(encoding="utf-8").splitlines()):
            known.add(name)
            if listed and not (site / name).is_file():
                yield Finding(name, "is missing")
            elif listed and listed != f"sha256={_of_record((site / name).read_bytes())}":
                yield Finding(name, "differs from the file in its package")
    for path in sorted(path for path in site.rglob("*") if path.is_file()):
        place = path.relative_to(site)
        if place.parts[0] not in ours and place.as_posix() not in known:
            yield Finding(str(place), "belongs to no package")


def _of_record(content: bytes) -> str:
    """Return a hash in the notation of RECORD."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _compare_locks(
    result: Comparison, listed: Sequence[Mapping[str, object]], described: Mapping[str, object], root: Path
) -> None:
    """Check that each package comes from a wheel, and that a lock file pins this wheel."""
    wheels = {str(entry["uri"]): entry for entry in listed if str(entry.get("uri")).startswith("pkg:")}
    recorded = described.get("packages")
    for entry in map(_mapping, recorded if isinstance(recorded, list) else []):
        if provenance.package_url(normalized(str(entry.get("name"))), str(entry.get("version"))) not in wheels:
            result.notes.append(f"The wheel of {entry.get('name')} is not known.")
    allowed: dict[str, frozenset[str]] = {}
    for entry in listed:
        name, recorded = str(entry.get("name")), _mapping(entry.get("digest")).get("sha256")
        if "annotations" in entry or "uri" in entry:
            continue
        path = LOCK if name == provenance.OWN_LOCK else root / name
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != recorded:
            result.notes.append(f"{name} is missing or has changed since the build: wheels were not compared.")
            return
        allowed.update(hashes(content.decode()))
    for url, entry in wheels.items():
        pinned = allowed.get(url.removeprefix("pkg:pypi/").replace("@", "==").replace("%2B", "+"))
        if pinned is None:
            result.notes.append(f"{entry.get('name')} is pinned by no lock file: a local wheel.")
        elif _mapping(entry.get("digest")).get("sha256") not in pinned:
            result.findings.append(Finding(str(entry.get("name")), "has another hash than the lock files pin"))


def _compare_own(result: Comparison, listed: Sequence[Mapping[str, object]], site: Path, own: Sources) -> None:
    """Check that the files of pgjobs are those of its wheel, where the archive was packed from that."""
    entry: Mapping[str, object] = next((one for one in listed if one.get("name") == provenance.OWN), {})
    recorded = _mapping(entry.get("digest")).get("sha256")
    if recorded is None:  # it was packed from a commit
        return
    version = str(_mapping(entry.get("annotations")).get("version"))
    files = {
        path.relative_to(site).as_posix(): path for name in OWN for path in (site / name).rglob("*") if path.is_file()
    }
    if digest(files) != recorded or (own.version == version and own.digest != recorded):
        result.findings.append(Finding("jobs", f"differs from pgjobs {version}"))
    elif own.version == version:
        result.notes.append(f"Its jobs are those of pgjobs {version}: {len(files)} files.")
    else:
        here = f"pgjobs {own.version}" if own.version else "a clone"
        result.notes.append(f"Its jobs are those of pgjobs {version}, and here is {here}: they were not compared.")


def _compare_sources(
    result: Comparison, listed: Sequence[Mapping[str, object]], site: Path, git: Git, ours: Sequence[str]
) -> None:
    """Check that the project's own files are those of the commit."""
    source: Mapping[str, object] = next((entry for entry in listed if entry.get("name") == provenance.SOURCE), {})
    commit = _mapping(source.get("digest")).get("gitCommit")
    if not provenance.is_commit(commit):
        result.notes.append("It was packed without git: its sources were not compared.")
        return
    if _mapping(source.get("annotations")).get("clean") is not True:
        result.notes.append(f"Its work tree differed from {commit}: its sources were not compared.")
        return
    blobs = dict(map(_blob, git.lines("ls-tree", "-r", "-z", str(commit), "--", *ours)))
    if not blobs:
        result.notes.append(f"There is no commit {commit} here: its sources were not compared.")
        return
    packed = dict(_own_blobs(site, ours, sha256=len(str(commit)) > 40))  # noqa: PLR2004 - the length of a SHA-1
    for name in sorted(blobs.keys() | packed.keys()):
        if blobs.get(name) != packed.get(name):
            result.findings.append(Finding(name, f"differs from {commit}"))
    result.notes.append(f"Its sources were compared with {commit}: {len(packed)} files.")


def _blob(line: str) -> tuple[str, str]:
    """Return a file's path and the object name of its content, from a line of git ls-tree."""
    words, _, path = line.partition("\t")
    return path, words.split()[2]


def _own_blobs(site: Path, ours: Sequence[str], *, sha256: bool) -> Iterator[tuple[str, str]]:
    """Yield the same for the packed files. git's object name of a content is a hash of its size and the content."""
    for folder in map(Path, ours):
        for path in (site / folder.name).rglob("*"):
            if path.is_symlink() or path.is_file():
                content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
                algorithm = hashlib.sha256 if sha256 else hashlib.sha1
                name = algorithm(b"blob %d\0" % len(content) + content).hexdigest()
                yield (folder / path.relative_to(site / folder.name)).as_posix(), name
