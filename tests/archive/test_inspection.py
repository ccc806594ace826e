"""What would not run in an archive is found."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest

from pgjobs.archive.inspection import inspect_archive
from pgjobs.archive.target import target_for

DEFAULT = target_for("emr-spark-8.1.0", "x86_64")


@pytest.fixture
def archive(made: Path) -> Path:
    return made


def test_another_releases_archive_does_not_pass(archive: Path) -> None:
    faults = inspect_archive(archive, target_for("emr-7.13.0", "x86_64"), with_extras=False)
    assert "bin/python: links to /usr/bin/python3.11, which is neither inside nor the release's interpreter" in map(
        str, faults
    )


def tampered(archive: Path, tmp_path: Path, name: str, content: bytes = b"", link: str = "") -> Path:
    """The archive with one more member."""
    changed = tmp_path / "changed.tar.gz"
    with tarfile.open(archive) as old, tarfile.open(changed, "w:gz", compresslevel=1) as new:
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o644
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, link
        new.addfile(info, io.BytesIO(content))
    return changed


SITE = "lib/python3.11/site-packages"


def test_modules_in_a_package_named_bin_need_no_exec_bit(archive: Path, tmp_path: Path) -> None:
    changed = tampered(archive, tmp_path, f"{SITE}/shop_jobs/bin/tool.py", b"x = 1")
    assert inspect_archive(changed, DEFAULT, with_extras=True) == []


@pytest.mark.parametrize(
    ("name", "content", "link", "fault"),
    [
        (f"{SITE}/x.so", b"\xcf\xfa\xed\xfe", "", "compiled for another system (Mach-O)"),
        (f"{SITE}/x.pyd", b"MZ", "", "compiled for another system (PE)"),
        (f"{SITE}/x.so", b"\x7fELF", "", "broken ELF file"),
        (f"{SITE}/link", b"", "../../../../outside", "neither inside nor the release's interpreter"),
        (f"{SITE}/link", b"", "nowhere", "neither inside nor the release's interpreter"),
        (f"{SITE}/link", b"", "/usr/bin/python3.9", "neither inside nor the release's interpreter"),
        ("../escape", b"x", "", "is outside of the archive"),
        ("bin/tool", b"#!/bin/sh", "", "is not executable"),
        (f"{SITE}/pyspark/__init__.py", b"", "", "is Spark, which the image already has"),
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
    assert "is not an archive" in str(inspect_archive(broken, DEFAULT, with_extras=False)[0])
