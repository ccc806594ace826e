"""Build the distributions of a version, and check them as a user would meet them. It publishes nothing.

    python scripts/release.py v0.2.0 --python 3.9 --python 3.13

The version comes from the tag. CHANGELOG.md must have a dated section for it. The wheel is then installed into empty
environments of each Python: with the extra [deploy], it packs an archive and verifies it; with [spark], it does what
docs/first-load.md says. The results are in build/release/dist. `make release-check` runs this, also in the workflow.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "release"
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
TOOLS = {"twine": "twine==7.0.0", "validate-pyproject": "validate-pyproject[all]==0.26", "zizmor": "zizmor==1.32.0"}
"""What judges a release, each in an environment of its own: the name of the command, and the requirement."""


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


def for_an_index(readme: str) -> str:
    """Return the README as a package index can show it: without pictures and links that lead into the repository."""
    without_pictures = re.sub(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n*", "", readme)
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", without_pictures)


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
    pyproject, readme = source / "pyproject.toml", source / "README.md"
    pyproject.write_text(with_version(pyproject.read_text(encoding="utf-8"), version), encoding="utf-8")
    readme.write_text(for_an_index(readme.read_text(encoding="utf-8")), encoding="utf-8")
    run(["uv", "build", "--quiet", "--out-dir", str(dist), str(source)], ROOT)
    return dist


def judge(dist: Path) -> None:
    """Have the distributions, their metadata and the workflows that publish them judged.

    Raises:
        ReleaseError: A tool found something, or a package of the wheel lacks its types.
    """
    tool("twine", "check", "--strict", *map(str, sorted(dist.glob("pgjobs_spark-*"))))
    tool("validate-pyproject", str(FOLDER / "source" / "pyproject.toml"))
    tool("zizmor", "--offline", "--no-progress", str(ROOT / ".github" / "workflows"))
    [wheel] = dist.glob("*.whl")
    untyped = without_types(zipfile.ZipFile(wheel).namelist())
    if untyped:
        raise ReleaseError(f"{', '.join(untyped)} has no py.typed in the wheel.")


def tool(name: str, *arguments: str) -> None:
    """Run a tool of its pinned version."""
    run(["uv", "tool", "run", "--quiet", "--from", TOOLS[name], name, *arguments], ROOT)


def without_types(names: Iterable[str]) -> list[str]:
    """Return the packages at the top of a wheel, given the names of its files, that lack py.typed."""
    names = set(names)
    packages = {name.partition("/")[0] for name in names if name.count("/") == 1 and name.endswith("/__init__.py")}
    return sorted(package for package in packages if f"{package}/py.typed" not in names)


def check_deploy(wheel: Path, version: str, python: str) -> None:
    """Install the wheel with what deploys into an empty environment, pack an archive there, and verify it."""
    folder = install(wheel, "deploy", python)
    pgjobs = str(next(folder.glob("*/pgjobs*")))
    stated = run([pgjobs, "--version"], folder).strip()
    if stated != f"pgjobs {version}":
        raise ReleaseError(f"On Python {python}, `pgjobs --version` prints {stated!r}.")
    for words in (["--help"], ["package"], ["verify"], ["init", "a_project"]):
        run([pgjobs, *words], folder)


def check_spark(wheel: Path, python: str) -> str:
    """Install the wheel with Spark into an empty environment, and do there what docs/first-load.md says.

    Returns:
        The version of PySpark that the metadata chose.
    """
    folder = install(wheel, "spark,test", python)
    own = str(folder / "bin" / "python")
    run([own, str(ROOT / "scripts" / "first_load.py"), str(folder)], folder)
    return run([own, "-c", "import pyspark; print(pyspark.__version__)"], folder).strip()


def install(wheel: Path, extras: str, python: str) -> Path:
    """Install the wheel with some of its extras into an empty environment. Returns its folder."""
    folder = FOLDER / f"python-{python}-{extras.partition(',')[0]}"
    run(["uv", "venv", "--quiet", "--clear", "--python", interpreter(python), str(folder)], ROOT)
    run(
        ["uv", "pip", "install", "--quiet", "--python", str(folder), f"pgjobs-spark[{extras}] @ {wheel.as_uri()}"], ROOT
    )
    return folder


def interpreter(python: str) -> str:
    """Return what uv finds a version of Python by: one of pyenv's, else its version."""
    of_pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{python}.*/bin/python{python}"))
    return str(of_pyenv[-1]) if of_pyenv else python


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
        judge(dist)
        [wheel] = dist.glob("*.whl")
        for python in options.python or PYTHONS:
            check_deploy(wheel, version, python)
            print(f"pgjobs {version} on Python {python}: packs and verifies an archive", flush=True)
            pyspark = check_spark(wheel, python)
            print(f"pgjobs {version} on Python {python}: loads and extracts with PySpark {pyspark}", flush=True)
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(str(path) for path in sorted(dist.glob("pgjobs_spark-*"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
