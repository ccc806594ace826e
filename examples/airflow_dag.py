r"""An Airflow DAG that loads a day's orders on EMR Serverless, and is safe to run again for any day.

It sends the request that `submit --dry-run` prints; Airflow fills in `{{ ds }}`. Beside this file:

    pgjobs submit load_table ... --dry-run -- --source "s3://bucket/orders/day={{ ds }}/" \
        --table sales.orders --load-id "orders/{{ ds }}" ... > load_orders.json

The archive has to be where the request says: a submit without --dry-run, from the same archive, puts it there.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow.providers.amazon.aws.operators.emr import EmrServerlessStartJobOperator
from airflow.sdk import DAG

REQUEST = json.loads(Path(__file__).with_name("load_orders.json").read_text())

LOOKS_EVERY = 30
"""Seconds between looks at the run."""

with DAG(
    "load_orders",
    description="Loads a day's orders into PostgreSQL",
    schedule="@daily",
    start_date=datetime(2026, 11, 1, tzinfo=timezone.utc),
    catchup=False,
    # A load id is loaded once, whoever asks: a retry after a lost answer does nothing.
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
):
    EmrServerlessStartJobOperator(
        task_id="load",
        application_id=REQUEST["applicationId"],
        execution_role_arn=REQUEST["executionRoleArn"],
        job_driver=REQUEST["jobDriver"],
        configuration_overrides=REQUEST.get("configurationOverrides"),
        name=REQUEST["name"],
        # What the operator has no argument for. Not the request's clientToken: each day is a run of its own.
        config={
            key: REQUEST[key] for key in ("mode", "executionTimeoutMinutes", "retryPolicy", "tags") if key in REQUEST
        },
        waiter_delay=LOOKS_EVERY,
        # The operator's own default is 25 looks; after that it fails, and the run goes on unwatched.
        waiter_max_attempts=(REQUEST["executionTimeoutMinutes"] + 10) * 60 // LOOKS_EVERY,
    )
