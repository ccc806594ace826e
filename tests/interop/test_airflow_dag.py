"""examples/airflow_dag.py in a real Airflow sends the request that `pgjobs request` prints, the day filled in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pgjobs.submit.request import Submission, build_request

ROOT = Path(__file__).parents[2]
AIRFLOW_PYTHON = os.environ.get("AIRFLOW_PYTHON", str(ROOT / ".venv-interop" / "bin" / "python"))
RUNNER = Path(__file__).with_name("start_job_run.py")

pytestmark = pytest.mark.skipif(not Path(AIRFLOW_PYTHON).exists(), reason="no Airflow: run make test-interop")


def request_for(day: str) -> dict[str, object]:
    submission = Submission(
        entry="load_table",
        arguments=("--source", f"s3://b/orders/day={day}/", "--table", "sales.orders", "--load-id", f"orders/{day}"),
        application_id="00fabc",
        role="arn:aws:iam::123456789012:role/jobs",
        archive="s3://code/releases/abc/pyspark_venv.tar.gz",
        script="s3://code/releases/abc/load_table.py",
        logs="s3://logs/logs",
        tags={"team": "data"},
        policies={"policyArns": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]},
        retries=1,
    )
    return {key: value for key, value in build_request(submission).items() if key != "clientToken"}


def test_the_dag_sends_the_days_request_of_the_variable_and_waits_without_a_worker(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy2(ROOT / "examples" / "airflow_dag.py", dags)
    environ = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW_VAR_LOAD_ORDERS": json.dumps(request_for("{{ ds }}")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [AIRFLOW_PYTHON, str(RUNNER), str(dags), "2026-11-20"],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    [sent] = told["sent"]
    assert {key: value for key, value in sent.items() if key != "clientToken"} == request_for("2026-11-20")
    assert told["waiting"] == {"by": "EmrServerlessStartJobTrigger", "for": "00frun", "seconds": 730 * 60}
