"""A trial's job as a request to its driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.jobs.arguments import COMMANDS
from chaos.jobs.names import TABLE, keys, load_id
from chaos.jobs.place import Place
from chaos.jobs.select import select
from chaos.plan.flows import COPY_ROWS
from chaos.plan.trial import Trial


def ask(trial: Trial, place: Place, identity: str = "") -> Mapping[str, Any]:
    """Return the request for the job.

    Args:
        trial: The trial.
        place: Where the job works.
        identity: The load id, if it is not the trial's own.
    """
    identity = identity or load_id(trial)
    if trial.flow in COMMANDS:
        job, arguments = COMMANDS[trial.flow]
        return {"job": job, "arguments": arguments(trial, place, identity)}
    if trial.flow == "pgcopy read":
        options = {**place.options(), "table": TABLE, "parallelism": "3"}
        return {"job": "read", "options": options, "target": str(place.lake)}
    if trial.flow == "pgcopy stream read":
        options = {**place.options(), "table": TABLE, "parallelism": "3", "ordinalColumn": "version"}
        checkpoint = str(place.folder / "checkpoint")
        return {"job": "read stream", "options": options, "target": str(place.lake), "checkpoint": checkpoint}
    if trial.flow == COPY_ROWS:
        return {"job": "copy rows", "source": str(place.source), "table": TABLE, "id": identity, **place.address()}
    options = {**place.options(), "table": TABLE, **_pgcopy_mode(trial)}
    if trial.flow == "pgcopy write":
        options["loadId"] = identity
        return {
            "job": "write",
            "source": str(place.source),
            "select": select(trial),
            "options": options,
            "mode": "overwrite" if trial.mode == "overwrite" else "append",
        }
    options["streamId"] = identity
    return {
        "job": "write stream",
        "source": str(place.source),
        "select": select(trial),
        "options": options,
        # Spark allows a checkpoint to one stream: a rival with another id has its own.
        "checkpoint": str(place.folder / f"checkpoint-{identity.replace('/', '-')}"),
    }


def _pgcopy_mode(trial: Trial) -> dict[str, str]:
    return {"mode": trial.mode, "keys": "id"} if keys(trial) else {}


def ask_and_fail(trial: Trial, place: Place) -> Mapping[str, Any]:
    """Return the request for a kept load that stages all of its parts, and then fails to publish them."""
    request = ask(trial, place)
    return {**request, "arguments": [*request["arguments"], "--before-sql", "SELECT 1 / 0"]}
