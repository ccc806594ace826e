"""Run by a real Airflow's Python: executes the one task of the DAG in a folder until it waits for the run.

Writes the request that it sent, and what it waits by.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import TaskDeferred
from botocore.awsrequest import AWSResponse

SENT: list[dict[str, Any]] = []


class Answer:
    """AWS's answer, as botocore reads it."""

    def __init__(self, content: object) -> None:
        self.content = json.dumps(content).encode()

    def stream(self) -> list[bytes]:
        """The content, in one piece."""
        return [self.content]


ANSWERS = {
    "GetApplication": {"application": {"state": "STARTED"}},
    "StartJobRun": {"applicationId": "00fabc", "jobRunId": "00frun", "arn": "arn"},
    "GetJobRun": {"jobRun": {"state": "SUCCESS"}},
}


def note(params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401 - botocore has no types
    """Keep what the operator asked for."""
    if model.name == "StartJobRun":
        SENT.append(dict(params))


def answer(request: Any, event_name: str, **_: object) -> AWSResponse:  # noqa: ANN401 - likewise
    """Answer in place of AWS."""
    return AWSResponse(request.url, 200, {}, Answer(ANSWERS[event_name.rpartition(".")[2]]))


bag = DagBag(sys.argv[1])
if bag.import_errors:
    sys.exit("\n".join(bag.import_errors.values()))
[dag] = bag.dags.values()
[task] = dag.tasks
task.render_template_fields({"ds": sys.argv[2]}, dag.get_template_env())
events = task.hook.conn.meta.events
events.register("before-parameter-build.emr-serverless", note)
events.register("before-send.emr-serverless", answer)
task.persist_links = lambda _: None  # they go to Airflow's database
try:
    task.execute({})
except TaskDeferred as deferred:
    path, parameters = deferred.trigger.serialize()
    waiting = {"by": path.rpartition(".")[2], "for": parameters["job_id"], "seconds": deferred.timeout.total_seconds()}
    sys.stdout.write(json.dumps({"sent": SENT, "waiting": waiting}) + "\n")
