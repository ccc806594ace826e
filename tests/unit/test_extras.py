"""Files beside the archive: which are taken, under which keys, and what Spark is told of them."""

from __future__ import annotations

import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from emr_runs import archive_with

from pgjobs.errors import DeployError
from pgjobs.submit.extras import conf_of, python_files, read_extras, refuse_stated_twice

CODE = "s3://code-bucket/code/"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive with `jobs`; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    return archive_with(tmp_path, load_table="print('packed')")


def zipped(name: str, *members: str) -> str:
    with zipfile.ZipFile(name, "w") as opened:
        for member in members:
            opened.writestr(member, "")
    return name


def test_each_kind_is_listed_for_spark_in_its_order_and_uploaded_under_its_own_hash(archive: Path) -> None:
    Path("rates.csv").write_bytes(b"1,2\n")
    Path("helpers.py").write_bytes(b"x = 1\n")
    library = zipped("library.zip", "library/__init__.py")
    given = {"py_files": [f"helpers.py,{library}"], "files": ["s3://mine/zones.csv", "rates.csv"], "jars": []}
    extras = read_extras(given, CODE, archive)
    keys = {name: sha256(Path(name).read_bytes()).hexdigest() for name in ("helpers.py", library, "rates.csv")}
    stored = {name: f"s3://code-bucket/code/files/{digest}/{name}" for name, digest in keys.items()}
    assert conf_of(extras) == {
        "spark.submit.pyFiles": f"{stored['helpers.py']},{stored[library]}",
        "spark.files": f"s3://mine/zones.csv,{stored['rates.csv']}",
    }
    assert [extra.uri for extra in extras if extra.content is None] == ["s3://mine/zones.csv"]
    assert python_files(extras) == {name: Path(name).read_bytes() for name in ("helpers.py", library)}


@pytest.mark.parametrize(
    ("kind", "listed", "told"),
    [
        ("py_files", ["none.py"], "--py-files: there is no file none.py."),
        ("py_files", ["folder.zip"], "--py-files: there is no file folder.zip (it is a folder)."),
        ("py_files", ["rates.csv"], "--py-files rates.csv: a name that ends in .py or .zip or .egg is expected."),
        ("jars", ["s3://mine/driver.zip"], "--jars s3://mine/driver.zip: a name that ends in .jar is expected."),
        ("files", ["a b.csv"], "--files a b.csv: Spark's lists of files allow neither blanks nor # in a name."),
        ("files", ["http://h/x.csv"], "'http://h/x.csv' is not an S3 URI"),
        ("files", ["rates.csv", "s3://mine/rates.csv"], "rates.csv and s3://mine/rates.csv have the same name"),
        ("py_files", ["jobs.py"], "jobs.py contains jobs, which the archive contains, too"),
        ("py_files", ["shadow.zip"], "shadow.zip contains jobs, which the archive contains, too"),
        ("py_files", ["broken.zip"], "--py-files broken.zip is not a ZIP file."),
    ],
)
def test_files_that_spark_or_python_would_mistake_are_refused(
    archive: Path, kind: str, listed: list[str], told: str
) -> None:
    for name in ("rates.csv", "jobs.py", "broken.zip"):
        Path(name).write_text("x")
    Path("folder.zip").mkdir()
    zipped("shadow.zip", "jobs/__init__.py", "mine.py")
    with pytest.raises(DeployError) as refused:
        read_extras({kind: listed}, CODE, archive)
    assert told in str(refused.value)


def test_a_list_of_files_is_stated_once(archive: Path) -> None:
    Path("driver.jar").write_text("x")
    extras = read_extras({"jars": ["driver.jar"]}, CODE, archive)
    refuse_stated_twice(extras, {"spark.files": "s3://mine/x"})
    with pytest.raises(DeployError, match=r"Both --jars and spark\.jars list files"):
        refuse_stated_twice(extras, {"spark.jars": "s3://mine/x.jar"})
