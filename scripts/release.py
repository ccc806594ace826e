"""Build the distributions of a version, and check them as a user would meet them. It publishes nothing.

    python scripts/release.py v0.2.0 --python 3.9 --python 3.13

The version comes from the tag. CHANGELOG.md must have a dated section for it. The wheel is then installed into an empty
environment of each Python, where it packs an archive and verifies it. The results are in build/release/dist.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "release"
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")


class ReleaseError(Exception):
    """The release cannot be made. The message says why."""


def version_of(tag: str) -> str:
    """Return the version in a tag: 0.2.0 for v0.2.0, and 0.3.0rc1 for v0.3.0rc1.

    Raises:
        ReleaseError: It is no tag of a release.
    """
    match = re.fullmatch(r"v(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)", tag)
    if match is None:
        raise ReleaseError(f"{tag!r} is no tag of a release: it must look like v0.2.0 or v0.3.0rc1.")
    return match[1]


def with_version(pyproject: str, version: str) -> str:
    """Return the text of pyproject.toml with another version."""
    return re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', pyproject, count=1)


def refuse_unwritten(changelog: str, version: str) -> None:
    """Refuse a version that the changelog does not have with its date.

    Raises:
        ReleaseError: It has no such section, or an empty one.
    """
    section = re.search(rf"(?ms)^## {re.escape(version)} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog)
    if section is None or not section[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no section '## {version} - YYYY-MM-DD', or nothing in it.")


def build(version: str) -> Path:
    """Build the source distribution, and from it the wheel. Returns their folder."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    source, dist = FOLDER / "source", FOLDER / "dist"
    source.mkdir(parents=True)
    tracked = run(["git", "ls-files", "-z", "src", "pyproject.toml", "README.md", "LICENSE"], ROOT).split("\0")
    for name in filter(None, tracked):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    pyproject = source / "pyproject.toml"
    pyproject.write_text(with_version(pyproject.read_text(encoding="utf-8"), version), encoding="utf-8")
    run(["uv", "build", "--quiet", "--out-dir", str(dist), str(source)], ROOT)
    run(["uv", "tool", "run", "--quiet", "twine", "check", "--strict", *map(str, sorted(dist.glob("pgjobs-*")))], ROOT)
    return dist


def check(wheel: Path, version: str, python: str) -> None:
    """Install the wheel with what deploys into an empty environment, pack an archive there, and verify it."""
    folder = FOLDER / f"python-{Path(python).name}"
    run(["uv", "venv", "--quiet", "--clear", "--python", python, str(folder)], ROOT)
    run(["uv", "pip", "install", "--quiet", "--python", str(folder), f"pgjobs[deploy] @ {wheel.as_uri()}"], ROOT)
    pgjobs = str(next(folder.glob("*/pgjobs*")))
    stated = run([pgjobs, "--version"], folder).strip()
    if stated != f"pgjobs {version}":
        raise ReleaseError(f"On Python {python}, `pgjobs --version` prints {stated!r}.")
    for words in (["package"], ["verify"], ["init", "a_project"]):
        run([pgjobs, *words], folder)


def run(command: Sequence[str], folder: Path) -> str:
    """Run a command. Returns what it printed.

    Raises:
        ReleaseError: It failed.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and check. Returns the exit status."""
    parser = argparse.ArgumentParser(
        description="Build the distributions of a version, and check them.", allow_abbrev=False
    )
    parser.add_argument("tag", help="v0.2.0")
    parser.add_argument("--python", action="append", metavar="3.X", help=f"default: {', '.join(PYTHONS)}")
    options = parser.parse_args(arguments)
    try:
        version = version_of(options.tag)
        refuse_unwritten((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
        dist = build(version)
        for python in options.python or PYTHONS:
            check(next(dist.glob("*.whl")), version, python)
            print(f"pgjobs {version} packs and verifies on Python {python}")
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(str(path) for path in sorted(dist.glob("pgjobs-*"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
