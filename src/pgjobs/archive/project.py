"""A project of your own: the packages, entrypoints and requirements that `[tool.pgjobs]` in its pyproject.toml names.

    [tool.pgjobs]
    packages = ["src/acme_jobs", "../shared/acme_common"]
    entrypoints = { nightly_totals = "acme_jobs.nightly_totals" }
    requirements = ["requirements.txt"]
    with = ["holidays"]

The archive contains its list of entrypoints, those of pgjobs included, as pgjobs.json.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgjobs.archive.sources import OWN, Sources, find_sources
from pgjobs.errors import DeployError
from pgjobs.toml import read_toml

OWN_ENTRYPOINTS: Mapping[str, str] = {
    "load_table": "jobs.load_table",
    "load_release": "jobs.load_release",
    "extract_table": "jobs.extract_table",
    "compare_table": "jobs.compare_table",
    "copy_table": "jobs.copy_table",
    "run_query": "jobs.run_query",
    "capture_changes": "jobs.capture_changes",
    "doctor": "jobs.doctor",
    "ledger": "jobs.ledger",
}
"""The jobs of pgjobs that `submit` knows by a short name. A name is in the archive if its module is."""

MARKS = "pgjobs.json"
"""The file at the top of the archive that lists its entrypoints."""

TAKEN = (*OWN, "pgjobs", "servermgr", "pg8000", "pyspark")
"""Names of packages that a project may not have: its own would hide them."""

OF_PYTHON: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())
"""The modules of Python itself, which a module of the same name hides. Python 3.9 does not know them."""

_KEYS: Mapping[str, type] = {"packages": list, "entrypoints": dict, "requirements": list, "with": list, "deploy": dict}
_SAID: Mapping[type, str] = {list: "a list of texts", dict: "a table"}


@dataclass(frozen=True)
class Project:
    """What to pack in addition to the jobs of pgjobs.

    Attributes:
        root: Its folder, to which paths refer.
        packages: The folders of its packages; they may be anywhere.
        entrypoints: The jobs that may be submitted by a short name, and their modules.
        requirements: Files of requirements. A file without hashes is pinned first.
        extras: Requirements in pip's notation.
    """

    root: Path = field(default_factory=Path)
    packages: tuple[str, ...] = ()
    entrypoints: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Path, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names under which its packages are imported."""
        return tuple((self.root / folder).resolve().name for folder in self.packages)

    @property
    def inside(self) -> tuple[str, ...]:
        """Return the folders of the packages that are in its own folder, below that."""
        root = self.root.resolve()
        paths = [(self.root / folder).resolve() for folder in self.packages]
        return tuple(path.relative_to(root).as_posix() for path in paths if root in path.parents)

    def sources(self) -> list[Sources]:
        """Determine its files: of packages in its own folder together, of each other one by itself.

        Raises:
            DeployError: A folder is no package.
        """
        root = self.root.resolve()
        paths = [(self.root / folder).resolve() for folder in self.packages]
        for path in paths:
            if not (path / "__init__.py").is_file():
                raise DeployError(f"[tool.pgjobs] packages: {path} is not a package: it has no __init__.py.")
        outside = [path for path in paths if root not in path.parents]
        found = [find_sources(root, self.inside)] if self.inside else []
        return found + [find_sources(path.parent, [path.name]) for path in outside]


NO_PROJECT = Project()


def read_project(root: Path) -> Project:
    """Return the project in a folder; without a pyproject.toml or a [tool.pgjobs] in it, one that adds nothing.

    Raises:
        DeployError: Its configuration is wrong.
    """
    file = root / "pyproject.toml"
    try:
        content = read_toml(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise DeployError(f"pyproject.toml cannot be read: {error}.") from None
    table = content.get("tool", {}).get("pgjobs", {})
    faults = list(_faults(table))
    if faults:
        raise DeployError(f"[tool.pgjobs] in pyproject.toml: {' '.join(faults)}")
    return Project(
        root,
        tuple(table.get("packages", ())),
        dict(table.get("entrypoints", {})),
        tuple(root / name for name in table.get("requirements", ())),
        tuple(table.get("with", ())),
    )


def _faults(table: Mapping[str, Any]) -> Sequence[str]:
    unknown = [key for key in table if key not in _KEYS]
    if unknown:
        return [f"unknown {', '.join(unknown)}. Known: {', '.join(_KEYS)}."]
    wrong = [key for key, value in table.items() if not _has_type(value, _KEYS[key])]
    if wrong:
        return [f"{key} must be {_SAID[_KEYS[key]]}." for key in wrong]
    names = [Path(folder).name for folder in table.get("packages", ())]
    return [
        *(f"{name} is a name that pgjobs needs itself: rename the package." for name in names if name in TAKEN),
        *(f"two packages are named {name}." for name in sorted(set(names)) if names.count(name) > 1),
        *(
            f"the entrypoint {name} must be a module, such as acme_jobs.{name}."
            for name, module in table.get("entrypoints", {}).items()
            if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(?<!\.py)", str(module))
        ),
        *(
            f"the entrypoint {name} is a job of pgjobs: choose another name."
            for name in table.get("entrypoints", {})
            if name in OWN_ENTRYPOINTS
        ),
    ]


def _has_type(value: object, kind: type) -> bool:
    if isinstance(value, list):
        return kind is list and all(isinstance(item, str) for item in value)
    return isinstance(value, kind)


def mark(tree: Path, site: Path, project: Project, built_for: Mapping[str, str]) -> None:
    """Write into the archive's tree its list of entrypoints, and what it was built for, which `doctor` compares.

    Args:
        tree: The tree.
        site: The folder of its packages.
        project: What is packed in addition to the jobs of pgjobs.
        built_for: The release, its Spark, the architecture and the minor version of Python.

    Raises:
        DeployError: There is no module for an entrypoint.
    """
    for name, module in project.entrypoints.items():
        if not module_file(site, module).is_file():
            raise DeployError(
                f"The entrypoint {name} is {module}, and there is no {module.replace('.', '/')}.py: see [tool.pgjobs]."
            )
    own = {name: module for name, module in OWN_ENTRYPOINTS.items() if module_file(site, module).is_file()}
    content = {"entrypoints": {**own, **project.entrypoints}, "built_for": dict(built_for)}
    (tree / MARKS).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def module_file(site: Path, module: str) -> Path:
    """Return the file of a module in a folder of packages."""
    return site.joinpath(*module.split(".")).with_suffix(".py")
