"""The archive in a bare Debian 12: another system, another Python 3.11 than the build's, and nothing else of Python's.

`make verify-bare` makes that system by debootstrap, once, in build/bare.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from pgjobs.archive import probe
from pgjobs.archive.build import build
from pgjobs.archive.tarball import unpack
from pgjobs.archive.target import target_for

BARE = Path(__file__).parents[2] / "build" / "bare"
CHROOT = [*([] if os.geteuid() == 0 else ["sudo", "--non-interactive"]), "chroot", str(BARE), "/usr/bin/env", "-i"]

pytestmark = pytest.mark.skipif(
    not (BARE / "complete").exists(), reason="no bare system in build/bare: run make verify-bare"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A working directory in the bare system, with Spark's Python packages as Spark has them: zipped."""
    made = Path(tempfile.mkdtemp(dir=BARE / "tmp", prefix="pgjobs-"))
    zips = made / "spark" / "python" / "lib"
    zips.mkdir(parents=True)
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    for packages in (Path(spec.origin).parent / "python" / "lib").glob("*.zip"):
        shutil.copy2(packages, zips)
    shutil.copy2(probe.__file__, made)
    yield made
    shutil.rmtree(made)


def probed(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """What the probe says of an archive for this interpreter."""
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    unpack(build(target_for("emr-spark-8.1.0", architecture, python), folder / "dist"), folder / "environment")
    here = Path("/", folder.relative_to(BARE))
    script = f"cd {here} && ./environment/bin/python -B probe.py"
    command = [*CHROOT, f"SPARK_HOME={here}/spark", "PATH=/usr/bin:/bin", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_imports_and_starts_the_job_there(folder: Path) -> None:
    done = probed(folder, "/usr/bin/python3.11")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Python 3.11" in done.stdout
    assert "(/usr/bin/python3.11)" in done.stdout
    assert f"/{folder.name}/environment/lib/python3.11/site-packages/pg8000/__init__.py" in done.stdout
    assert "error" not in done.stdout


def test_it_does_not_start_without_its_interpreter(folder: Path) -> None:
    done = probed(folder, "/usr/bin/python3.9")
    assert done.returncode == 127
    assert "./environment/bin/python: not found" in done.stderr
