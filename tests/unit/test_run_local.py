"""run-local: what makes a request one for this machine, and what the probe must have seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pgjobs.archive.probe import faults
from pgjobs.errors import DeployError
from pgjobs.local import driver
from pgjobs.local.run_local import at_home, read_parameters, sized_for_here

GOOD: dict[str, Any] = {
    "role": "executor 0",
    "environment": "/run/0/environment",
    "prefix": "/run/0/environment",
    "interpreter": "/usr/bin/python3.11",
    "packages": {
        "jobs": {"file": "/run/0/environment/lib/python3.11/site-packages/jobs/__init__.py", "version": ""},
        "pg8000": {"file": "/run/0/environment/lib/python3.11/site-packages/pg8000/__init__.py", "version": "1"},
    },
}


def test_a_process_on_the_archive_has_no_fault() -> None:
    assert list(faults(GOOD)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"prefix": "/usr"}, "The executor 0 runs on /usr/bin/python3.11, not on the archive's interpreter."),
        ({"prefix": "/run/0/environment2"}, "not on the archive's interpreter"),
        ({"packages": {"jobs": GOOD["packages"]["jobs"]}}, "The executor 0 does not see pg8000."),
        (
            {"packages": {**GOOD["packages"], "pg8000": {"file": "/usr/lib/pg8000.py", "version": "1"}}},
            "The executor 0 has pg8000 from /usr/lib/pg8000.py, not from the archive.",
        ),
    ],
)
def test_a_process_elsewhere_is_told_apart(change: dict[str, Any], fault: str) -> None:
    [found] = faults({**GOOD, **change})
    assert fault in found


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


SCRIPT = """
import json, sys
from pathlib import Path
import beside
Path("report").write_text(json.dumps([sys.argv, __name__, __file__, sys.path[0]]))
sys.exit(3)
"""


def run_as_the_driver(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an entrypoint as run-local's driver does, started elsewhere."""
    jobs, elsewhere = folder / "jobs", folder / "elsewhere"
    jobs.mkdir()
    elsewhere.mkdir()
    (jobs / "job.py").write_text(script)
    (jobs / "beside.py").write_text("")
    command = [sys.executable, driver.__file__, str(folder), str(jobs / "job.py"), *arguments]
    return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)


def test_the_entrypoint_is_the_main_program_in_the_callers_folder_and_its_status_counts(tmp_path: Path) -> None:
    done = run_as_the_driver(tmp_path, SCRIPT, "--table", "t")
    assert done.returncode == 3, done.stderr
    script = str(tmp_path / "jobs" / "job.py")
    told = json.loads((tmp_path / "report").read_text())
    assert told == [[script, "--table", "t"], "__main__", script, str(tmp_path / "jobs")]


def test_an_error_of_the_entrypoint_is_told_as_ever(tmp_path: Path) -> None:
    done = run_as_the_driver(tmp_path, "raise ValueError('no such day')")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: no such day"


def test_relative_paths_of_the_jvm_are_the_callers_beside_options_of_the_requests_own() -> None:
    key = "spark.driver.extraJavaOptions"
    assert at_home({}, Path("/my dir")) == {key: '"-Duser.dir=/my dir"'}
    assert at_home({key: "-Dx=1", "spark.y": "2"}, Path("/d")) == {key: '"-Duser.dir=/d" -Dx=1', "spark.y": "2"}


def test_what_run_local_cannot_do_is_told() -> None:
    with pytest.raises(DeployError, match="understands --conf key=value alone"):
        read_parameters("--jars x.jar")
