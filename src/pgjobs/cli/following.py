"""The commands for existing runs: status, logs, cancel, list, dashboard."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from pgjobs.aws import Clients, aws_errors
from pgjobs.cli.commands import Connect
from pgjobs.console import Console
from pgjobs.errors import OK
from pgjobs.runs.log_rotation import SHOWN
from pgjobs.runs.logs import DRIVER, WorkerLogs, require_log_uri, with_log_uri
from pgjobs.runs.run import Run, cancel, get_run, read_run
from pgjobs.runs.summary import listing, status, value
from pgjobs.runs.wait import WaitOptions, wait
from pgjobs.submit.api_model import refuse_what_the_model_forbids

PAGE = 50
"""The maximum number of runs that ListJobRuns returns in one answer."""


def show_status(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print a run, its attempts and its cost."""
    clients, job_run = asked_for(options, connect)
    shown, tried = replace(job_run, log_uri=with_log_uri(clients, job_run)), list(attempts(clients, job_run))
    console.answer(status(shown, tried), {**value(shown), "attempts": [value(one) for one in tried]})
    return OK


def show_logs(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print the logs of a worker as they are, or follow those of the driver."""
    clients, job_run = asked_for(options, connect)
    if options.follow:
        return wait(clients, job_run, wait_options(options), console)
    job_run = replace(job_run, log_uri=with_log_uri(clients, job_run))
    require_log_uri(job_run)
    worker = DRIVER if options.executor is None else f"SPARK_EXECUTOR/{options.executor}"
    attempt = options.attempt or job_run.attempt
    texts = WorkerLogs(clients.objects, job_run, attempt, worker).read(last=True)
    for stream in SHOWN[options.show]:
        console.show(stream, texts[stream])
    if not any(texts.values()):
        console.tell(f"No logs of {worker}, attempt {attempt}, in {job_run.log_uri} yet: S3 gets new logs every 15 s.")
    return OK


def cancel_run(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Cancel a run. With --wait, follow it until it has ended."""
    clients, job_run = asked_for(options, connect)
    if job_run.ended:
        console.tell(f"It has ended: {job_run.state}.")
        console.answer_json(value(job_run))
        return OK
    console.tell(cancel(clients, job_run, options.grace))
    if not options.wait:
        console.answer_json(value(replace(job_run, state="CANCELLING")))
        return OK
    return wait(clients, job_run, wait_options(options), console)


def list_runs(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print the newest runs."""
    request: dict[str, Any] = {"applicationId": options.application_id, "maxResults": min(options.limit, PAGE)}
    if options.state:
        request["states"] = options.state
    refuse_what_the_model_forbids("ListJobRuns", request)
    runs = connect().runs
    job_runs = [read_run(item) for item in islice(pages(runs.list_job_runs, "jobRuns", request), options.limit)]
    console.answer(listing(job_runs) if job_runs else "No runs found.", {"runs": [value(one) for one in job_runs]})
    return OK


def show_dashboard(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print the URL of a run's Spark UI."""
    request: dict[str, Any] = {"applicationId": options.application_id, "jobRunId": options.run}
    if options.attempt is not None:
        request["attempt"] = options.attempt
    refuse_what_the_model_forbids("GetDashboardForJobRun", request)
    with aws_errors():
        url = connect().runs.get_dashboard_for_job_run(**request)["url"]
    console.answer(url, {"url": url})
    return OK


def asked_for(options: argparse.Namespace, connect: Connect) -> tuple[Clients, Run]:
    """Read the run that the options name. Returns the clients, too.

    Raises:
        DeployError: The id cannot be right; AWS is not called.
        AwsError: AWS refuses the call, or does not answer.
    """
    request = {"applicationId": options.application_id, "jobRunId": options.run}
    refuse_what_the_model_forbids("GetJobRun", request)
    clients = connect()
    return clients, get_run(clients, options.application_id, options.run)


def attempts(clients: Clients, job_run: Run) -> Iterator[Run]:
    """Return the attempts of a run, which may have several."""
    if job_run.attempt > 1 or job_run.most_attempts > 1:
        request = {"applicationId": job_run.application_id, "jobRunId": job_run.run_id}
        for item in pages(clients.runs.list_job_run_attempts, "jobRunAttempts", request):
            yield read_run(item)


def pages(
    call: Callable[..., Mapping[str, Any]], items: str, request: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield the items of all pages of an answer.

    Raises:
        AwsError: AWS refuses the call, or does not answer.
    """
    token: dict[str, str] = {}
    while True:
        with aws_errors():
            answer = call(**request, **token)
        yield from answer[items]
        if not answer.get("nextToken"):
            return
        token = {"nextToken": answer["nextToken"]}


def wait_options(options: argparse.Namespace) -> WaitOptions:
    """Return the parameters for waiting that the options contain."""
    return WaitOptions(options.wait_minutes, options.grace, SHOWN[options.show])
