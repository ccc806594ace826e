"""What packs an archive: these tests want uv, and wheels from an index or uv's cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheel_here import Laptop, build_wheel, install

from pgjobs.archive.build import build
from pgjobs.archive.target import target_for


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive for the default release, with its manifest; not to be written to."""
    return build(target_for("emr-spark-8.1.0", "x86_64"), tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of pgjobs."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def laptop(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    """pgjobs[deploy] from the wheel alone."""
    return install(wheel, tmp_path_factory.mktemp("laptop") / "venv", "deploy")
