"""The archive's bytes depend on its contents alone."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from pgjobs.archive import tarball


@pytest.fixture
def archive(made: Path) -> Path:
    return made


def pythons() -> list[str]:
    """A Python of each version that this machine has; pyenv's shims are there for versions that are not."""
    found = []
    for minor in range(9, 14):
        name = f"python3.{minor}"
        installed = [str(path) for path in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}")]
        on_path = shutil.which(name)
        found += [path for path in [*installed, on_path] if path and "shims" not in path][:1]
    return found


PYTHONS = pythons()


@pytest.mark.skipif(len(PYTHONS) < 2, reason="this machine has no second Python from 3.9 to 3.13")
def test_the_same_tree_gives_the_same_bytes_on_every_python(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    deep = tree / "lib" / ("long" * 30) / ("longer" * 30)
    deep.mkdir(parents=True)
    (deep / "größe.py").write_text("x = 1\n" * 5000, encoding="utf-8")
    (tree / "bin").mkdir()
    (tree / "bin" / "python").symlink_to("/usr/bin/python3.11")
    (tree / "bin" / "tool").write_text("#!/bin/sh\n")
    (tree / "bin" / "tool").chmod(0o755)
    code = "import sys, pathlib; from pgjobs.archive.tarball import pack; pack(*map(pathlib.Path, sys.argv[1:]))"
    source = str(Path(tarball.__file__).parents[2])
    digests = {}
    for number, python in enumerate(PYTHONS):
        packed = tmp_path / f"{number}.tar.gz"
        subprocess.run([python, "-c", code, str(tree), str(packed)], env={"PYTHONPATH": source}, check=True)
        digests[python] = sha256(packed.read_bytes()).hexdigest()
    assert len(set(digests.values())) == 1, digests


def test_what_is_packed_is_read_back_by_gzip_itself() -> None:
    content = b"some text\n" * 10_000
    assert gzip.decompress(tarball.gzipped(content)) == content
    assert len(tarball.gzipped(content)) < 1_000
