"""What makes a request one for this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgjobs.archive.tarball import pack, unpack
from pgjobs.errors import DeployError
from pgjobs.local.run_local import at_home, configured, for_here, localized, read_parameters, sized_for_here


def test_sizes_of_emrs_workers_are_left_out_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    kept = {
        "spark.archives": "x#environment",
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": "./environment/bin/python",
        "spark.executorEnv.PYSPARK_PYTHON": "./environment/bin/python",
        "spark.sql.shuffle.partitions": "4",
    }
    sizes = {
        "spark.executor.memory": "14g",
        "spark.executor.memoryOverhead": "2g",
        "spark.driver.cores": "4",
        "spark.dynamicAllocation.enabled": "true",
        "spark.emr-serverless.driver.disk": "30g",
    }
    assert sized_for_here({**kept, **sizes}) == kept
    told = capsys.readouterr().err
    assert all(key in told for key in sizes)


def test_relative_paths_of_the_jvm_are_the_callers_beside_options_of_the_requests_own() -> None:
    key = "spark.driver.extraJavaOptions"
    assert at_home({}, Path("/my dir")) == {key: '"-Duser.dir=/my dir"'}
    assert at_home({key: "-Dx=1", "spark.y": "2"}, Path("/d")) == {key: '"-Duser.dir=/d" -Dx=1', "spark.y": "2"}


def test_what_run_local_cannot_do_is_told() -> None:
    with pytest.raises(DeployError, match="supports only --conf key=value"):
        read_parameters("--jars x.jar")


def venv_of(interpreter: str, folder: Path) -> Path:
    """An archive of nothing but a venv."""
    tree = folder / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "python").symlink_to(interpreter)
    (tree / "pyvenv.cfg").write_text(f"home = {Path(interpreter).parent}\nversion = 3\n")
    pack(tree, folder / "packed.tar.gz")
    return folder / "packed.tar.gz"


def test_a_python_of_the_same_version_stands_in_for_the_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    work = tmp_path / "work"
    work.mkdir()
    unpack(for_here(venv_of(f"/nowhere/bin/{name}", tmp_path), work), tmp_path / "unpacked")
    interpreter = (tmp_path / "unpacked" / "bin" / "python").readlink()
    assert interpreter.exists()
    assert (tmp_path / "unpacked" / "pyvenv.cfg").read_text() == f"home = {interpreter.parent}\nversion = 3\n"
    assert f"run-local: {interpreter} stands in for /nowhere/bin/{name}" in capsys.readouterr().err


def test_an_interpreter_that_is_here_is_left_alone(tmp_path: Path) -> None:
    archive = venv_of(sys.executable, tmp_path)
    assert for_here(archive, tmp_path / "work") == archive


def test_no_python_of_another_version_stands_in(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"this machine has no python3\.99"):
        for_here(venv_of("/nowhere/bin/python3.99", tmp_path), tmp_path)


ARCHIVE = "s3://code/pyspark_venv.tar.gz"


def test_files_beside_the_archive_are_those_of_this_machine(tmp_path: Path) -> None:
    conf = {"spark.archives": f"{ARCHIVE}#environment", "spark.submit.pyFiles": "s3://code/a.py,s3://code/b.zip"}
    files = {ARCHIVE: tmp_path / "x.tar.gz", "s3://code/a.py": Path("/f/a.py"), "s3://code/b.zip": Path("/f/b.zip")}
    here = localized({**conf, "spark.jars": "/opt/own.jar"}, files)
    assert here["spark.submit.pyFiles"] == "/f/a.py,/f/b.zip"
    assert here["spark.jars"] == "/opt/own.jar"
    with pytest.raises(DeployError, match=r"no local file for s3://mine/x\.csv: run-local reads no file from S3"):
        localized({**conf, "spark.files": "s3://mine/x.csv"}, files)


def test_sparks_part_of_the_applications_configuration_counts_and_the_rest_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    properties = {"spark.sql.ansi.enabled": "false"}
    configuration = [
        {"classification": "spark-defaults", "properties": properties},
        {"classification": "spark-driver-log4j2", "properties": {}},
    ]
    request = {
        "executionIamPolicy": {"policy": "{}"},
        "configurationOverrides": {"applicationConfiguration": configuration},
    }
    assert configured(request) == properties
    assert "omitted what only EMR understands: spark-driver-log4j2, executionIamPolicy" in capsys.readouterr().err
    assert configured({}) == {}
