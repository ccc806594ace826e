"""Who started a run, according to the variables that OpenLineage's own integrations use."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

NAMESPACE = "OPENLINEAGE_NAMESPACE"
"""The variable that names the namespace of jobs."""

DEFAULT_NAMESPACE = "pgjobs"

PARENT, ROOT = "OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID"
"""The variables for the run that started this one, and for the first of all: `namespace/job/run id`. Airflow has macros
for them, and dbt reads them."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ancestor:
    """A run of another job."""

    namespace: str
    job: str
    run_id: str


def namespace(environ: Mapping[str, str]) -> str:
    """Return the namespace of jobs."""
    return environ.get(NAMESPACE) or DEFAULT_NAMESPACE


def ancestors(environ: Mapping[str, str]) -> tuple[Ancestor, ...]:
    """Return the run that started this one, and the first of all if it is another one; nothing if they are unknown."""
    parent = _ancestor(environ, PARENT)
    if parent is None:
        return ()
    root = _ancestor(environ, ROOT)
    return (parent,) if root is None else (parent, root)


def _ancestor(environ: Mapping[str, str], variable: str) -> Ancestor | None:
    """Return a run; None if the variable is not set, or names none, about which there is a warning."""
    text = environ.get(variable, "")
    if not text:
        return None
    place, _, run_id = text.rpartition("/")
    name_space, _, job = place.rpartition("/")  # a namespace may be a URL
    try:
        uuid.UUID(run_id)
    except ValueError:
        run_id = ""
    if not (name_space and job and run_id):
        logger.warning("%s is not NAMESPACE/JOB/RUN_ID, and is ignored.", variable)
        return None
    return Ancestor(name_space, job, run_id)
