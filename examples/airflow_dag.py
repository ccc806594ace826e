r"""An Airflow DAG that loads a day's orders on EMR Serverless, and is safe to run again for any day.

It sends the request in the Airflow variable `load_orders`, in which `{{ ds }}` stands for the day. A new archive needs
no change here: whoever packs it (CI, say) uploads it and sets the variable, in one command:

    airflow variables set load_orders "$(pgjobs request load_table --upload -- \
        --source 's3://bucket/orders/day={{ ds }}/' --table sales.orders --load-id 'orders/{{ ds }}' \
        --secret-id airflow/connections/shop)"

The job reads the connection `shop` by its id, where Airflow's backend for Secrets Manager keeps it. So neither this
file, nor Airflow's log, nor the request has a password.

The task waits in the triggerer (deferrable), without a worker. That needs apache-airflow-providers-amazon[aiobotocore].
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.amazon.aws.operators.emr import EmrServerlessStartJobOperator
from airflow.sdk import DAG, Variable

LOOKS_EVERY = 30
"""Seconds between looks at the run."""

MOST_MINUTES = 720
"""Of a run, in the request: --timeout-minutes."""

OTHERS = ("mode", "executionTimeoutMinutes", "retryPolicy", "tags", "executionIamPolicy")
"""What the operator has no argument for. Not the request's clientToken: each day is a run of its own."""


def request(day: str) -> dict[str, Any]:
    """Return the request for a day. It is called when the task runs, not when Airflow reads this file."""
    asked = json.loads(Variable.get("load_orders").replace("{{ ds }}", day))
    return {**asked, "others": {key: asked[key] for key in OTHERS if key in asked}}


with DAG(
    "load_orders",
    description="Loads a day's orders into PostgreSQL",
    schedule="@daily",
    start_date=datetime(2026, 11, 1, tzinfo=timezone.utc),
    catchup=False,
    # A load id is loaded once, whoever asks: a retry after a lost answer does nothing.
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    user_defined_macros={"request": request},
    render_template_as_native_obj=True,  # the request's parts stay what they are, and do not become text
):
    EmrServerlessStartJobOperator(
        task_id="load",
        aws_conn_id="aws_default",
        application_id="{{ request(ds).applicationId }}",
        execution_role_arn="{{ request(ds).executionRoleArn }}",
        job_driver="{{ request(ds).jobDriver }}",  # type: ignore[arg-type] # a mapping, when it is rendered
        configuration_overrides="{{ request(ds).configurationOverrides or {} }}",  # type: ignore[arg-type] # likewise
        config="{{ request(ds).others }}",  # type: ignore[arg-type] # likewise
        name="{{ request(ds).name }}",
        deferrable=True,
        waiter_delay=LOOKS_EVERY,
        # The operator's own default is 25 looks; after that it fails, and the run goes on unwatched.
        waiter_max_attempts=(MOST_MINUTES + 10) * 60 // LOOKS_EVERY,
    )
