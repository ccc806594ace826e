"""Packages by --with and --requirements: pinned by version and hash, and nothing of the machine in the archive."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from pgjobs.archive.build import LOCK, Extras, build, install, lay_out
from pgjobs.archive.inspection import inspect_archive
from pgjobs.archive.packages import pins
from pgjobs.archive.tarball import pack
from pgjobs.archive.target import target_for
from pgjobs.errors import DeployError

DEFAULT = target_for("emr-spark-8.1.0", "x86_64")


def wheel(folder: Path, requires: str = "", moment: float = 0) -> Path:
    """A wheel of one's own, written at a moment."""
    folder.mkdir(exist_ok=True)
    path = folder / "mine-1.0-py3-none-any.whl"
    info = "mine-1.0.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        "mine/__init__.py": "x = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as made:
        for name, text in {**files, f"{info}/RECORD": "".join(f"{file},,\n" for file in files)}.items():
            made.writestr(zipfile.ZipInfo(name), text)
    os.utime(path, (moment, moment))
    return path


def test_an_extra_that_is_compiled_is_pinned_and_gets_the_targets_wheels(tmp_path: Path) -> None:
    """MarkupSafe is compiled, and has wheels for all; another machine's are told apart."""
    told: list[str] = []
    extras = Extras(["markupsafe"], locks=tmp_path)
    packed = build(target_for("emr-spark-8.1.0", "arm64"), tmp_path / "dist", extras, tell=told.append)
    faults = inspect_archive(packed, DEFAULT, with_extras=True)
    assert [fault.fault for fault in faults] == ["is compiled for EM_AARCH64, not for x86_64"]
    lock = tmp_path / "with-3.11.lock"
    assert f"Pinned the packages in {lock}: commit this file." in told
    assert "--with markupsafe" in lock.read_text()
    assert "--hash=sha256:" in lock.read_text()
    assert "://" not in lock.read_text()


def test_what_is_pinned_is_packed_until_another_set_is_asked_for(tmp_path: Path) -> None:
    lock, scratch = tmp_path / "with-3.11.lock", tmp_path / "scratch"
    scratch.mkdir()
    pins.pin(["markupsafe==3.0.2"], DEFAULT, LOCK, tmp_path, scratch).keep()
    lock.write_text(lock.read_text().replace("--with markupsafe==3.0.2", "--with markupsafe"))
    again = pins.pin(["markupsafe"], DEFAULT, LOCK, tmp_path, scratch)
    assert (again.files, again.fresh) == ((lock,), None)
    more = pins.pin(["markupsafe", "jmespath"], DEFAULT, LOCK, tmp_path, scratch)
    assert more.fresh is not None
    assert "markupsafe==3.0.2" in more.fresh.read_text()
    assert "jmespath==" in more.fresh.read_text()


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    asked = tmp_path / "with-3.11.lock"
    asked.write_text(f"#    pgjobs package --with jmespath\njmespath==1.0.1 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(DeployError, match=r"(?s)remove the lock file.*[Hh]ash"):
        build(DEFAULT, tmp_path / "dist", Extras(["jmespath"], locks=tmp_path))


def test_an_extra_without_a_wheel_for_the_target_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="cannot be installed for the target"):
        build(DEFAULT, tmp_path / "dist", Extras(["psycopg2==2.9.10"], locks=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_extra_that_there_is_not_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"markupsafe==0\.0\.0 cannot be resolved for Python 3\.11"):
        build(DEFAULT, tmp_path / "dist", Extras(["markupsafe==0.0.0"], locks=tmp_path))
    with pytest.raises(DeployError, match=r"There is no wheel .*nothing-1-py3-none-any\.whl\."):
        build(DEFAULT, tmp_path / "dist", Extras(["nothing-1-py3-none-any.whl"], locks=tmp_path))


def packed_with(own: Path, locks: Path, scratch: Path) -> bytes:
    """The archive's tree with a wheel of one's own, packed."""
    site = lay_out(scratch / "tree", DEFAULT)
    pinned = pins.pin([str(own)], DEFAULT, LOCK, locks, scratch)
    install(site, DEFAULT, [LOCK, *pinned.files])
    pinned.keep()
    pack(scratch / "tree", scratch / "packed")
    return (scratch / "packed").read_bytes()


def test_a_wheel_of_ones_own_gives_the_same_archive_from_another_folder_at_another_time(tmp_path: Path) -> None:
    first, second = wheel(tmp_path / "a", "jmespath", 1e9), wheel(tmp_path / "b", "jmespath", 1.5e9)
    packed = [packed_with(own, tmp_path, own.parent / "made") for own in (first, second)]
    assert packed[0] == packed[1]
    lock = (tmp_path / "with-3.11.lock").read_text()
    assert "jmespath==" in lock
    assert str(tmp_path) not in lock


def test_nothing_of_this_machines_scripts_and_places_stays(tmp_path: Path) -> None:
    """Scripts begin with the path of the Python that installed them, and RECORD has their hashes."""
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_text("#!/here/python\n")
    for name in ("direct_url.json", "uv_cache.json", "METADATA"):
        (info / name).write_text("x")
    (tmp_path / "a,b.py").write_text("")
    names = [
        "../../bin/tool",
        "bin/tool",
        *(f"{info.name}/{name}" for name in ("direct_url.json", "METADATA", "RECORD")),
    ]
    (info / "RECORD").write_text("".join(f"{name},sha256=x,1\n" for name in names) + '"a,b.py",,\n')
    pins.forget_the_machine(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["METADATA", "RECORD", "a,b.py", info.name]
    assert (info / "RECORD").read_text().splitlines() == [
        f"{info.name}/METADATA,sha256=x,1",
        f"{info.name}/RECORD,sha256=x,1",
        '"a,b.py",,',
    ]


def test_a_requirements_file_without_hashes_is_pinned_until_it_changes(tmp_path: Path) -> None:
    file, scratch = tmp_path / "mine.txt", tmp_path / "scratch"
    scratch.mkdir()
    file.write_text("jmespath<2\n")
    first = pins.pin([], DEFAULT, LOCK, tmp_path, scratch, files=[file])
    assert first.keep() == f"Pinned the packages in {tmp_path / 'with-3.11.lock'}: commit this file."
    assert "jmespath==1." in first.lock.read_text()
    assert str(tmp_path) not in first.lock.read_text()
    assert pins.pin([], DEFAULT, LOCK, tmp_path, scratch, files=[file]).fresh is None
    file.write_text("jmespath<1\n")
    assert pins.pin([], DEFAULT, LOCK, tmp_path, scratch, files=[file]).fresh is not None


def test_a_requirements_file_must_fit_the_jobs_own_packages(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("pg8000==1.30.0\n")
    with pytest.raises(DeployError, match=r"(?s)mine.txt cannot be resolved.*require pg8000==1.30.0 and pg8000==1.31"):
        build(DEFAULT, tmp_path / "dist", Extras(requirements=[file], locks=tmp_path))
    file.write_text(f"six==1.16.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(DeployError, match=r"(?s)cannot be (installed|resolved).*six"):
        build(DEFAULT, tmp_path / "dist", Extras(requirements=[file]))


def test_a_requirements_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"^There is no requirements file .*none\.txt\.$"):
        build(DEFAULT, tmp_path / "dist", Extras(requirements=[tmp_path / "none.txt"]))


def test_what_a_requirements_file_pins_is_packed(tmp_path: Path) -> None:
    pinned = pins.pin(["jmespath"], DEFAULT, LOCK, tmp_path, tmp_path)
    assert pinned.fresh is not None
    mine = shutil.copyfile(pinned.fresh, tmp_path / "mine.txt")
    site = lay_out(tmp_path / "tree", DEFAULT)
    install(site, DEFAULT, [LOCK, mine])
    assert (site / "jmespath" / "__init__.py").exists()
    assert (site / "pg8000" / "__init__.py").exists()


def test_a_requirements_file_that_powershell_has_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("jmespath\r\n", encoding="utf-16")
    with pytest.raises(DeployError, match=r"mine\.txt is not UTF-8, .*: save it as UTF-8"):
        build(DEFAULT, tmp_path / "dist", Extras(requirements=[file]))


@pytest.mark.parametrize(
    ("requirement", "told"),
    [("pyspark==3.5.1", "The image has Spark: remove pyspark"), ("pgjobs==99", "by itself: remove pgjobs")],
)
def test_requirements_of_what_the_archive_must_not_have_are_told(tmp_path: Path, requirement: str, told: str) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(f"{requirement}\n")
    with pytest.raises(DeployError, match=told):
        build(DEFAULT, tmp_path / "dist", Extras(requirements=[file], locks=tmp_path))
