"""Builds the venv archive that EMR Serverless unpacks on every worker: without Docker, in seconds.

A venv is little more than a folder: bin/python is a link to the image's interpreter, pyvenv.cfg describes it, and
site-packages holds wheels, which are fetched for the *target's* Python and platform. The image's packages (boto3,
pandas, PyArrow) stay visible through include-system-site-packages. The same inputs give the same bytes. A
self-contained archive contains an interpreter instead, and sees none of the image's packages.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pgjobs.archive import interpreter, manifest, project, provenance, sources
from pgjobs.archive.inspection import Finding, inspect_archive
from pgjobs.archive.manifest import NAME
from pgjobs.archive.packages import pins, wheels
from pgjobs.archive.packages.uv import run_uv
from pgjobs.archive.project import NO_PROJECT, Project
from pgjobs.archive.tarball import pack
from pgjobs.archive.target import BuildTarget
from pgjobs.errors import BadArchive, DeployError

LOCK = Path(__file__).with_name("runtime.lock")
"""Pins what the jobs of pgjobs need. It is part of the wheel."""

Tell = Callable[[str], object]
"""Prints a line."""

MOST_SHOWN = 10
"""The number of faults that are listed; a package for another processor alone causes dozens."""


@dataclass(frozen=True)
class Extras:
    """What to add to the jobs' own packages.

    Attributes:
        packages: Requirements in pip's notation, and paths of wheels; pinned in a lock file.
        requirements: Files of requirements. Those that do not pin by version and hash are pinned in the lock file, too.
        locks: The folder of the lock files.
    """

    packages: Sequence[str] = ()
    requirements: Sequence[Path] = ()
    locks: Path = Path("requirements")

    def of(self, own: Project) -> Extras:
        """Return these extras and those of a project, whose folder has the lock files."""
        return Extras([*own.extras, *self.packages], [*own.requirements, *self.requirements], own.root / self.locks)

    @property
    def pinned(self) -> list[Path]:
        """Return the files that pin by hash themselves."""
        return [file for file in self.requirements if pins.has_hashes(file)]

    @property
    def open(self) -> list[Path]:
        """Return the files that do not."""
        return [file for file in self.requirements if not pins.has_hashes(file)]

    def __bool__(self) -> bool:
        return bool(self.packages or self.requirements)


NO_EXTRAS = Extras()


def build(
    target: BuildTarget,
    output: Path,
    extras: Extras = NO_EXTRAS,
    carried: Path | None = None,
    tell: Tell = print,
    *,
    own: Project = NO_PROJECT,
) -> Path:
    """Build the archive and its manifest, and check them before they get their final names.

    Args:
        target: What to build for.
        output: The folder to write to.
        extras: What to add to the jobs' own packages.
        carried: The folder of the interpreter to include, if the target has one; by default uv installs it.
        tell: Is called with lines about what was packed.
        own: The project whose packages are packed, too.

    Raises:
        DeployError: A package has no wheel for the target, or the archive does not pass its checks.
    """
    extras = extras.of(own)
    missing = [str(file) for file in extras.requirements if not file.is_file()]
    if missing:
        raise DeployError(f"There is no requirements file {', '.join(missing)}.")
    refuse_output(output)  # before the work, which takes some seconds
    found = [sources.own_sources(), *own.sources()]
    with tempfile.TemporaryDirectory(prefix="pgjobs-venv-") as scratch:
        tree = Path(scratch, "venv")
        if target.carried:
            interpreter.refuse_windows(sys.platform)
            carried = carried or interpreter.fetch(target, own.root.resolve() / "build" / "python")
            interpreter.carry(carried, tree, target)
        site = lay_out(tree, target)
        pinned = pins.pin(extras.packages, target, LOCK, extras.locks, Path(scratch), files=extras.open)
        requirements = [LOCK, *pinned.files, *extras.pinned]
        install(site, target, requirements)
        for one in found:
            refuse_hidden(site, one)
            sources.copy_sources(one, site)
        project.mark(tree, site, own, target.summary())
        packed = Path(scratch, NAME)
        pack(tree, packed, links(target))
        complain(inspect_archive(packed, target, with_extras=bool(extras)))
        inputs = provenance.Inputs(
            provenance.origins(found),
            locked(pinned, extras, own.root),
            manifest.origins(site, wheels.suitable(requirements, target, Path(scratch))),
            parameters(target, extras, own.root),
        )
        described = manifest.describe(packed, site, target, inputs)
        if carried:
            described["carried_interpreter"] = interpreter.describe(carried, target)
        manifest.beside(packed).write_bytes(f"{json.dumps(described, indent=2)}\n".encode())
        put_in_place([packed, manifest.beside(packed)], output)
        told = [*(line for one in found for line in sources.describe(one)), pinned.keep()]
        for line in filter(None, dict.fromkeys(told)):  # pgjobs and a project may have the same to tell
            tell(line)
    return output / NAME


def refuse_output(output: Path) -> None:
    """Refuse a folder that cannot be made or written to.

    Raises:
        DeployError: Names what is in the way.
    """
    there = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = "cannot be written to" if there.is_dir() else "is no folder"
        raise DeployError(f"--output {output}: {there} {reason}. Name a folder in which files can be made.")


def put_in_place(files: Sequence[Path], output: Path) -> None:
    """Give files their place in a folder, which may be on another disk: each is there completely, or as it was."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pgjobs-", dir=output) as beside:
        complete = [Path(shutil.copy(file, beside)) for file in files]
        for file in complete:
            file.replace(output / file.name)


def refuse_hidden(site: Path, ours: sources.Sources) -> None:
    """Refuse requirements that bring a package of the same name: pgjobs itself, say, which the archive has already.

    Raises:
        DeployError: Names the package.
    """
    for name in sorted({Path(folder).name for folder in ours.folders}):
        if (site / name).exists():
            which = "pgjobs" if name in sources.OWN else f"what brings {name}"
            raise DeployError(
                f"The requirements bring a package {name}, and so does the archive: remove {which} there."
            )


def locked(pinned: pins.Pins, extras: Extras, root: Path) -> dict[str, bytes]:
    """Return the requirements files that pin the packages, under their names in the manifest."""
    files = {**pinned.locked(), **{file: file.read_bytes() for file in extras.pinned}}
    named = {provenance.lock_name(file, root): content for file, content in files.items()}
    return {provenance.OWN_LOCK: LOCK.read_bytes(), **named}


def parameters(target: BuildTarget, extras: Extras, root: Path) -> dict[str, object]:
    """Return the options of the caller, without paths of this machine."""
    return {
        "release": target.release,
        "architecture": target.architecture,
        "interpreter": target.interpreter,
        "self_contained": target.carried,
        "with": sorted(Path(extra).name if extra.endswith(".whl") else extra for extra in extras.packages),
        "requirements": sorted(provenance.lock_name(file, root) for file in extras.requirements),
    }


def lay_out(tree: Path, target: BuildTarget) -> Path:
    """Create an empty venv for the target's interpreter, unless it is included. Returns the packages' folder."""
    site = tree / "lib" / f"python{target.version}" / "site-packages"
    site.mkdir(parents=True)
    if target.carried:
        return site
    (tree / "bin").mkdir()
    home = PurePosixPath(target.interpreter).parent
    config = f"home = {home}\ninclude-system-site-packages = true\nversion = {target.version}\n"
    (tree / "pyvenv.cfg").write_bytes(config.encode())
    return site


def links(target: BuildTarget) -> dict[str, str]:
    """Return the symbolic links of an archive: the names of its interpreter."""
    if target.carried:
        program = PurePosixPath(target.interpreter).name
        return {"bin/python": program, "bin/python3": program}
    return {"bin/python": target.interpreter, "bin/python3": "python", f"bin/python{target.version}": "python"}


def install(site: Path, target: BuildTarget, requirements: Sequence[Path]) -> None:
    """Install what the requirements files pin, as wheels for the target.

    Raises:
        DeployError: A package is not pinned by version and hash, or has no such wheel.
    """
    files = [word for file in requirements for word in ("--requirements", str(file))]
    run_uv(
        [
            *("pip", "install", "--quiet", "--target", str(site), "--link-mode", "copy"),
            *("--python-version", target.version, "--python-platform", target.platform, "--only-binary", ":all:"),
            *("--require-hashes", *files),
        ],
        "The packages cannot be installed for the target as the requirements pin them (--with: remove the lock file to "
        "pin them again)",
    )
    pins.forget_the_machine(site)


def complain(findings: Sequence[Finding]) -> None:
    """Refuse an archive with faults.

    Raises:
        BadArchive: Lists the faults.
    """
    if findings:
        shown = [f"  {finding}" for finding in findings[:MOST_SHOWN]]
        more = [f"  and {len(findings) - MOST_SHOWN} more"] if len(findings) > MOST_SHOWN else []
        raise BadArchive("\n".join(["The archive does not pass:", *shown, *more]))
