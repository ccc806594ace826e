"""The archive for EMR Serverless: what is in it, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from pgjobs.archive import tarball
from pgjobs.archive.__main__ import main
from pgjobs.archive.build import build
from pgjobs.archive.elf import elf_faults
from pgjobs.archive.inspection import BUDGET, inspect_archive
from pgjobs.archive.manifest import NAME
from pgjobs.archive.releases import RELEASES, find_release
from pgjobs.archive.target import Target, target_for
from pgjobs.errors import DeployError

DEFAULT = target_for("emr-spark-8.1.0", "x86_64")


@pytest.fixture
def archive(made: Path) -> Path:
    return made


def names(archive: Path) -> set[str]:
    with tarfile.open(archive) as opened:
        return set(opened.getnames())


def test_it_is_a_venv_of_the_releases_interpreter_with_the_jobs_and_their_packages(archive: Path) -> None:
    site = "lib/python3.11/site-packages"
    assert {f"{site}/jobs/load_table.py", f"{site}/pg8000/core.py", f"{site}/scramp/__init__.py"} <= names(archive)
    assert {f"{site}/jobs/dbaccess/rds-global-bundle.pem", f"{site}/pyspark_pgcopy/__init__.py"} <= names(archive)
    assert not any(
        name.startswith((f"{site}/pyspark/", f"{site}/pgjobs/", f"{site}/servermgr")) for name in names(archive)
    )
    with tarfile.open(archive) as opened:
        assert opened.getmember("bin/python").linkname == "/usr/bin/python3.11"
        config = opened.extractfile("pyvenv.cfg")
        assert config is not None
        assert b"include-system-site-packages = true" in config.read()


def test_it_is_small(archive: Path) -> None:
    assert archive.stat().st_size < BUDGET


def test_the_same_inputs_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    assert build(DEFAULT, tmp_path).read_bytes() == archive.read_bytes()


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


def test_the_manifest_tells_what_it_is(archive: Path) -> None:
    manifest = json.loads(archive.with_name(f"{NAME}.json").read_text())
    assert (manifest["release"], manifest["python"], manifest["architecture"]) == ("emr-spark-8.1.0", "3.11", "x86_64")
    assert manifest["bytes"] == archive.stat().st_size
    assert [package["name"] for package in manifest["packages"]] == [
        "asn1crypto",
        "pg8000",
        "python-dateutil",
        "scramp",
        "six",
    ]


@pytest.mark.parametrize("label", ["emr-7.13.0", "emr-spark-8.0.0"])
def test_each_release_gets_wheels_for_its_own_python(label: str, tmp_path: Path) -> None:
    target = target_for(label, "arm64")
    assert f"lib/python{target.version}/site-packages/pg8000/core.py" in names(build(target, tmp_path))


def test_another_releases_archive_does_not_pass(archive: Path) -> None:
    faults = inspect_archive(archive, target_for("emr-7.13.0", "x86_64"), with_extras=False)
    assert "bin/python: leads to /usr/bin/python3.11, neither inside nor the release's interpreter" in map(str, faults)


def test_unknown_releases_are_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--release", "emr-1.0.0"]) == 1
    assert "Known: emr-spark-8.1.0, emr-spark-8.0.0, emr-7.14.0" in capsys.readouterr().err


def test_another_interpreter_of_the_image_can_be_named() -> None:
    assert target_for("emr-7.13.0", "x86_64", "/usr/bin/python3.11").version == "3.11"
    with pytest.raises(DeployError, match="does not tell its version"):
        target_for("emr-7.13.0", "x86_64", "/usr/bin/python3")


def test_the_table_of_releases_is_complete() -> None:
    assert {find_release(label).label for label in RELEASES} == set(RELEASES)
    assert find_release("emr-7.0.0").pythons == ("3.9",)
    assert find_release("emr-spark-8.1.0").python == "/usr/bin/python3.11"


def tampered(archive: Path, tmp_path: Path, name: str, content: bytes = b"", link: str = "") -> Path:
    """The archive with one more member."""
    changed = tmp_path / "changed.tar.gz"
    with tarfile.open(archive) as old, tarfile.open(changed, "w:gz") as new:
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o644
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, link
        new.addfile(info, io.BytesIO(content))
    return changed


SITE = "lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("name", "content", "link", "fault"),
    [
        (f"{SITE}/x.so", b"\xcf\xfa\xed\xfe", "", "compiled for another system (Mach-O)"),
        (f"{SITE}/x.pyd", b"MZ", "", "compiled for another system (PE)"),
        (f"{SITE}/x.so", b"\x7fELF", "", "broken ELF file"),
        (f"{SITE}/link", b"", "../../../../outside", "neither inside nor the release's interpreter"),
        (f"{SITE}/link", b"", "nowhere", "neither inside nor the release's interpreter"),
        (f"{SITE}/link", b"", "/usr/bin/python3.9", "neither inside nor the release's interpreter"),
        ("../escape", b"x", "", "lies outside of the archive"),
        ("bin/tool", b"#!/bin/sh", "", "is not executable"),
        (f"{SITE}/pyspark/__init__.py", b"", "", "is Spark, which the image has"),
        pytest.param(
            f"{SITE}/jobs/dbaccess/__init__.py",
            b"import nosuch",
            "",
            "No module named 'nosuch'",
            marks=pytest.mark.skipif(
                sys.version_info < (3, 11), reason="an older Python cannot import for a newer one"
            ),
        ),
    ],
)
def test_what_would_not_run_is_found(
    archive: Path, tmp_path: Path, name: str, content: bytes, link: str, fault: str
) -> None:
    changed = tampered(archive, tmp_path, name, content, link)
    faults = inspect_archive(changed, DEFAULT, with_extras=False)
    assert [str(found) for found in faults if fault in str(found)]


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"junk")
    assert "is no archive" in str(inspect_archive(broken, DEFAULT, with_extras=False)[0])


def test_a_file_that_wants_a_newer_c_library_is_found() -> None:
    """Python's own library on this machine wants some version of glibc; an ancient target has none of it."""
    import _struct

    path = Path(getattr(_struct, "__file__", None) or __import__("sys").executable)
    content = path.resolve().read_bytes()
    if not content.startswith(b"\x7fELF"):
        pytest.skip("not a Linux machine")
    machine = {62: "x86_64", 183: "arm64"}[struct.unpack_from("<H", content, 18)[0]]
    ancient = Target("x", "/usr/bin/python3.11", "3.11", machine, (2, 1))
    assert any("wants glibc 2." in fault for fault in elf_faults(content, ancient))
