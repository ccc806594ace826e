"""What makes a request one for this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjobs.errors import DeployError
from pgjobs.local.run_local import at_home, read_parameters, sized_for_here


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
