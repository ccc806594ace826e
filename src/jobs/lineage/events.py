"""Events of OpenLineage, as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.lineage.datasets import Dataset, Datasets
from jobs.lineage.origin import Ancestor

START, COMPLETE, FAIL, ABORT = "START", "COMPLETE", "FAIL", "ABORT"
"""The types of events. ABORT is the end of a run that somebody interrupted."""

PRODUCER = "urn:pgjobs:jobs"
"""What makes the events, as a URI."""

_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"

Facet = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A run of a job.

    Attributes:
        id: A UUID, the same in all events of the run.
        namespace, job: The name of the job.
        kind: What the job does: "LOAD", "EXTRACT"...
        is_endless: Whether it runs until it is stopped.
        ancestors: The run that started it, and the first of all.
    """

    id: str
    namespace: str
    job: str
    kind: str
    is_endless: bool = False
    ancestors: tuple[Ancestor, ...] = ()


def event(kind: str, run: Run, at: datetime, datasets: Datasets, error: str = "") -> dict[str, Any]:
    """Return an event.

    Args:
        kind: START, COMPLETE, FAIL or ABORT.
        run: The run.
        at: The time.
        datasets: What the run reads and writes, as far as that is known.
        error: Why it failed.
    """
    return {
        "eventType": kind,
        "eventTime": at.isoformat(timespec="milliseconds"),
        "producer": PRODUCER,
        "schemaURL": _EVENT,
        "run": {"runId": run.id, "facets": _run_facets(run, error)},
        "job": {"namespace": run.namespace, "name": run.job, "facets": {"jobType": _job_type(run)}},
        "inputs": [_dataset(each, "input") for each in datasets.inputs],
        "outputs": [_dataset(each, "output") for each in datasets.outputs],
    }


def _facet(name: str, version: str, **values: object) -> Facet:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}", **values}


def _run_facets(run: Run, error: str) -> Mapping[str, Facet]:
    facets = {}
    if run.ancestors:
        parent, root = _named(run.ancestors[0]), _named(run.ancestors[-1])
        facets["parent"] = _facet("ParentRunFacet", "1-2-0", **parent, root=root)
    if error:
        facets["errorMessage"] = _facet("ErrorMessageRunFacet", "1-0-1", message=error, programmingLanguage="PYTHON")
    return facets


def _named(ancestor: Ancestor) -> dict[str, dict[str, str]]:
    return {"run": {"runId": ancestor.run_id}, "job": {"namespace": ancestor.namespace, "name": ancestor.job}}


def _job_type(run: Run) -> Facet:
    processing = "STREAMING" if run.is_endless else "BATCH"
    return _facet("JobTypeJobFacet", "2-0-4", processingType=processing, integration="PGJOBS", jobType=run.kind)


def _dataset(dataset: Dataset, side: str) -> dict[str, Any]:
    """Return a dataset.

    Args:
        dataset: The dataset.
        side: "input" or "output", which is how its statistics are called.
    """
    named: dict[str, Any] = {"namespace": dataset.namespace, "name": dataset.name}
    if dataset.columns:
        fields = [{"name": name, **({"type": kind} if kind else {})} for name, kind in dataset.columns]
        named["facets"] = {"schema": _facet("SchemaDatasetFacet", "1-2-0", fields=fields)}
    counts: dict[str, int | None] = {"rowCount": dataset.rows, "size": dataset.size}
    known = {name: count for name, count in counts.items() if count is not None}
    if known:
        name, version = _STATISTICS[side]
        statistics = _facet(name, version, **known)
        named[f"{side}Facets"] = {f"{side}Statistics": statistics}
    return named


_STATISTICS = {
    "input": ("InputStatisticsInputDatasetFacet", "1-0-0"),
    "output": ("OutputStatisticsOutputDatasetFacet", "1-0-2"),
}
