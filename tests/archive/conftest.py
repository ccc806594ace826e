"""What packs an archive: these tests want uv, and wheels from an index or uv's cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from once import made_once
from wheel_here import Laptop, install, wheel_of_this

from pgjobs.archive.build import build
from pgjobs.archive.manifest import NAME
from pgjobs.archive.target import target_for


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive for the default release, with its manifest; not to be written to."""
    target = target_for("emr-spark-8.1.0", "x86_64")
    return made_once(tmp_path_factory, "dist", lambda folder: build(target, folder)) / NAME


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of pgjobs."""
    return wheel_of_this(tmp_path_factory)


@pytest.fixture(scope="session")
def laptop(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    """pgjobs-spark[deploy] from the wheel alone."""
    return install(wheel, tmp_path_factory.mktemp("laptop") / "venv", "deploy")
