"""A server of lineage, and the judge of what it gets: OpenLineage's own classes, which take no field that they lack."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PRODUCER = "urn:pgjobs:jobs"


class LineageServer(ThreadingHTTPServer):
    """Keeps what is posted.

    Attributes:
        status: What it answers.
        delay: Seconds before it does; it answers nothing at all once `released` is set.
        events: The bodies, in their order.
        headers: Those of each.
        paths: Of each.
    """

    daemon_threads = True
    status = 201
    location = ""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.released = threading.Event()
        self.released.set()
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "http" if context is None else "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    @property
    def kinds(self) -> list[str]:
        return [event["eventType"] for event in self.events]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that do not wait."""


class _Handler(BaseHTTPRequestHandler):
    server: LineageServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.released.wait()
        self.server.events.append(json.loads(body))
        self.server.headers.append(dict(self.headers))
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def lineage_server(context: ssl.SSLContext | None = None) -> Iterator[LineageServer]:
    with LineageServer(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def as_openlineage_has_it(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event that OpenLineage's client makes of the same values. A field that it does not know raises."""
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.serde import Serde

    made = RunEvent(
        eventType=RunState[event["eventType"]],
        eventTime=event["eventTime"],
        run=Run(event["run"]["runId"], _facets(event["run"]["facets"])),
        job=Job(event["job"]["namespace"], event["job"]["name"], _facets(event["job"]["facets"])),
        inputs=[
            InputDataset(
                each["namespace"],
                each["name"],
                facets=_facets(each.get("facets", {})),
                inputFacets=_facets(each.get("inputFacets", {})),
            )
            for each in event["inputs"]
        ],
        outputs=[
            OutputDataset(
                each["namespace"],
                each["name"],
                facets=_facets(each.get("facets", {})),
                outputFacets=_facets(each.get("outputFacets", {})),
            )
            for each in event["outputs"]
        ],
        producer=PRODUCER,
    )
    return without_empty(Serde.to_dict(made))


def without_empty(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event without facets that are empty, which mean the same as none."""
    cleaned: dict[str, Any] = json.loads(json.dumps(event), object_hook=_full)
    return cleaned


def _full(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value not in ({}, [], None)}


def _facets(facets: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: _facet(name, dict(values)) for name, values in facets.items()}


def _facet(name: str, values: dict[str, Any]) -> Any:  # noqa: ANN401 - one of many classes
    from openlineage.client import facet_v2 as v2

    assert values.pop("_producer") == PRODUCER
    values.pop("_schemaURL")  # the class sets its own, which is compared
    if name == "schema":
        fields = [v2.schema_dataset.SchemaDatasetFacetFields(**field) for field in values["fields"]]
        return v2.schema_dataset.SchemaDatasetFacet(fields=fields, producer=PRODUCER)
    if name == "parent":
        one = v2.parent_run
        root = one.Root(one.RootRun(**values["root"]["run"]), one.RootJob(**values["root"]["job"]))
        return one.ParentRunFacet(one.Run(**values["run"]), one.Job(**values["job"]), root, producer=PRODUCER)
    kinds = {
        "jobType": v2.job_type_job.JobTypeJobFacet,
        "errorMessage": v2.error_message_run.ErrorMessageRunFacet,
        "inputStatistics": v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
        "outputStatistics": v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    }
    return kinds[name](**values, producer=PRODUCER)
