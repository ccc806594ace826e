"""The commands of the archive: package builds it, and verify checks it."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from pathlib import Path

from pgjobs.archive.build import Extras, build, complain
from pgjobs.archive.inspection import carried_version, inspect_archive
from pgjobs.archive.manifest import beside
from pgjobs.archive.project import read_project
from pgjobs.archive.releases import ARCHITECTURES, DEFAULT_RELEASE
from pgjobs.archive.sources import own_sources
from pgjobs.archive.target import BuildTarget, target_for
from pgjobs.checks.verification import compare, read
from pgjobs.cli.commands import Connect
from pgjobs.console import Console
from pgjobs.errors import OK, DeployError


def package(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Build the archive and its manifest."""
    del connect
    carried = options.self_contained or options.interpreter is not None
    target = target_for(options.release, options.arch, options.python, carried=carried)
    if target.doubt:
        console.tell(f"warning: {target.doubt}")
    extras = Extras(options.extras, options.requirements)
    own = read_project(Path())
    if not own.packages and (above := project_above(Path.cwd())):
        console.tell(f"{above} was not read: to pack that project, run pgjobs package in its folder.")
    archive = build(target, options.output, extras, options.interpreter, console.tell, own=own)
    described = json.loads(beside(archive).read_text(encoding="utf-8"))
    del described["provenance"]
    console.answer(
        f"{archive}  {archive.stat().st_size / 1e6:.2f} MB for {target.release}, {target.architecture}",
        {"file": str(archive), "manifest": str(beside(archive)), **described},
    )
    return OK


def project_above(folder: Path) -> Path | None:
    """Return the pyproject.toml of the project within which a folder is, if it names packages."""
    for above in folder.parents:
        with suppress(DeployError, OSError, UnicodeDecodeError):  # it is somebody else's, and only looked at
            if read_project(above).packages:
                return above / "pyproject.toml"
    return None


def verify(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Check an archive, including whether it contains an interpreter.

    Raises:
        BadArchive: The archive does not pass.
    """
    del connect
    target = stated_target(options)
    complain(inspect_archive(options.file, target, with_extras=True))
    own, project = own_sources(), read_project(Path())
    if project.packages or own.version:
        compared = compare(options.file, project.root, project.inside, own, others=project.names)
    else:  # a clone of pgjobs is a project itself
        compared = compare(options.file, own.root, own.folders, own)
    complain(compared.findings)
    notes = [*([target.doubt] if target.doubt else []), *compared.notes]
    carried = " of its own" if target.carried else ""
    good = f"{options.file} is good for {target.release}: {target.interpreter}{carried}, {target.architecture}"
    console.answer(
        "\n".join([good, *notes]),
        {
            "file": str(options.file),
            "release": target.release,
            "architecture": target.architecture,
            "interpreter": target.interpreter,
            "self_contained": target.carried,
            "notes": notes,
        },
    )
    return OK


def stated_target(options: argparse.Namespace) -> BuildTarget:
    """Return what an archive is to be checked for: what the flags state, and otherwise its manifest.

    Raises:
        DeployError: There is no archive, or no such target.
    """
    if not options.file.is_file():
        raise DeployError(f"There is no archive {options.file}: pack one with pgjobs package.")
    file = beside(options.file)
    stated = (read(file.read_bytes()) if file.is_file() else None) or {}
    release = options.release or str(stated.get("release", DEFAULT_RELEASE))
    architecture = options.arch or str(stated.get("architecture", ARCHITECTURES[0]))
    version = carried_version(options.file)
    if version is not None:
        return target_for(release, architecture, version, carried=True)
    own = None if options.release else stated.get("interpreter")
    return target_for(release, architecture, options.python or (None if own is None else str(own)))
