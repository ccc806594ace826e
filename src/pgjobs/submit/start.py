"""From options to a started run: the request, the objects that it refers to, and StartJobRun itself."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

from pgjobs.aws import Clients, aws_errors
from pgjobs.console import Console
from pgjobs.errors import AwsError, DeployError, PassingError
from pgjobs.runs.run import UNSUCCESSFUL, Run, get_run, region_of
from pgjobs.runs.summary import ago, command, headline
from pgjobs.submit.configuration import read_configuration, read_policies, spark_defaults
from pgjobs.submit.extras import KINDS, conf_of, read_extras, refuse_stated_twice
from pgjobs.submit.payload import Payload, read_payload
from pgjobs.submit.request import Submission, build_request, client_token
from pgjobs.submit.upload import upload

MARGIN = timedelta(seconds=10)
"""How much earlier than the answer to its own submission a run may have been created."""


def prepare(options: argparse.Namespace) -> tuple[dict[str, Any], Payload]:
    """Build the request, and the objects that it refers to, without any call.

    Args:
        options: The options that add_submission defines.

    Raises:
        DeployError: The submission is wrong.
    """
    payload = read_payload(options.archive, options.entry, options.code)
    listed = {kind: getattr(options, kind) for kind in KINDS}
    payload = replace(payload, extras=read_extras(listed, options.code, options.archive))
    conf, configuration = pairs("--conf", options.conf), read_configuration(options.application_configuration)
    refuse_stated_twice(payload.extras, {**spark_defaults(configuration), **conf})
    submission = Submission(
        entry=payload.entry.name,
        own=payload.entry.own,
        arguments=tuple(options.arguments),
        application_id=options.application_id,
        role=options.role,
        archive=payload.archive.uri,
        script=payload.script_uri,
        name=options.name,
        extras=conf_of(payload.extras),
        conf=conf,
        configuration=configuration,
        policies=read_policies(options.execution_iam_policy),
        tags=pairs("--tag", options.tag),
        logs=options.logs,
        log_key=options.log_key,
        cloudwatch=options.cloudwatch,
        log_group=options.log_group,
        log_stream=options.log_stream_prefix,
        log_types=pairs("--log-type", options.log_type),
        managed_logs=options.managed_logs,
        prometheus=options.prometheus,
        retries=options.retries,
        timeout_minutes=options.timeout_minutes,
        mode=options.mode,
        idempotent=options.idempotent,
        unchecked_secrets=options.skip_secret_check,
        again=options.again,
    )
    return build_request(submission), payload


def pairs(flag: str, texts: Sequence[str]) -> dict[str, str]:
    """Return `key=value` texts as a mapping. Of a repeated key, the last value counts.

    Raises:
        DeployError: A text does not have this form.
    """
    split = [text.partition("=") for text in texts]
    if not all(key and equals for key, equals, _ in split):
        raise DeployError(f"{flag} must be of the form key=value.")
    return {key: value for key, _, value in split}


@dataclass(frozen=True)
class Started:
    """The run of a submission.

    Attributes:
        earlier: Whether an equal submission had started it before.
    """

    run: Run
    earlier: bool


def start(clients: Clients, request: Mapping[str, Any], payload: Payload, console: Console) -> Started:
    """Upload the objects that do not exist yet, and start the run.

    A request with a token returns the run that it returned before, unless that run has ended without success. Then it
    is tried again, with a token derived from that run's id. Two submitters who try at the same time still start one
    run.

    Raises:
        DeployError: AWS refuses a call, or another object exists under the archive's key.
    """
    send(clients, payload, console)
    unknown = (
        "It is not known whether the run was started. "
        f"To find out: pgjobs list --application-id {request['applicationId']}"
    )
    try:
        return try_again(clients, request, console)
    except KeyboardInterrupt:
        console.tell(f"\n{unknown}")
        raise
    except PassingError as error:  # the request may have arrived, and only its answer is missing
        raise PassingError(f"{error} {unknown}") from None


def send(clients: Clients, payload: Payload, console: Console) -> None:
    """Upload the objects that do not exist yet.

    Raises:
        DeployError: AWS refuses a call, or another object exists under the archive's key.
    """
    try:
        for item in payload:
            upload(clients.objects, item, console.tell)
    except KeyboardInterrupt:
        console.tell("\nNothing was submitted. Uploaded files stay, and are not sent again.")
        raise


def try_again(clients: Clients, request: Mapping[str, Any], console: Console) -> Started:
    """Start the run. Start it again after the failures of earlier submissions.

    Raises:
        AwsError: AWS refuses the call, or does not answer.
    """
    if "clientToken" not in request:
        return replace(start_once(clients, {"clientToken": uuid4().hex, **request}), earlier=False)
    started = start_once(clients, request)
    while started.earlier and started.run.state in UNSUCCESSFUL:
        console.tell(f"{started.run.run_id} of the same submission has ended: {headline(started.run)}. Trying again.")
        token = client_token(request, after=started.run.run_id)
        started = start_once(clients, {**request, "clientToken": token})
    return started


def start_once(clients: Clients, request: Mapping[str, Any]) -> Started:
    """Start a run, or return the one that this token has started before.

    Raises:
        AwsError: AWS refuses the call, or does not answer.
    """
    began = time.monotonic()
    with aws_errors():
        answer = clients.runs.start_job_run(**request)
    duration = timedelta(seconds=time.monotonic() - began)
    try:
        run = get_run(clients, answer["applicationId"], answer["jobRunId"])
    except AwsError:  # the run was started; a user who may start runs may not be allowed to read them
        run = Run(answer["applicationId"], answer["jobRunId"], "SUBMITTED", region=region_of(answer["arn"]))
    return Started(run, is_earlier(run.created, answered_at(answer), duration))


def answered_at(answer: Mapping[str, Any]) -> datetime | None:
    """Return AWS's time in an answer, because the clock of this machine may be wrong."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date) if date else None


def is_earlier(created: datetime | None, answered: datetime | None, duration: timedelta) -> bool:
    """Return whether a run is older than the call that was to start it, because StartJobRun had its token.

    Args:
        created: When the run was created.
        answered: When the call was answered, by AWS's clock.
        duration: How long the call took, including botocore's own retries.
    """
    return created is not None and answered is not None and answered - created > duration + MARGIN


def describe(started: Started, now: datetime | None = None) -> str:
    """Return the message about a started run."""
    run = started.run
    if not started.earlier:
        return f"submitted {run.run_id}\n  {command('status', run)}\n  {command('logs --follow', run)}"
    when = f", submitted {ago(run.created, now or datetime.now(timezone.utc))}" if run.created else ""
    ended = f"It has ended: {headline(run)}." if run.ended else f"It is {run.state}."
    return (
        f"This is the same run as before: {run.run_id}{when}. {ended} Nothing new was started; --again starts another."
    )
