"""The commands of `pgjobs`. Each takes options and returns an exit status."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pgjobs.aws import Clients, aws_errors
from pgjobs.console import Console
from pgjobs.errors import OK
from pgjobs.local.run_local import run_local
from pgjobs.runs.log_rotation import SHOWN
from pgjobs.runs.logs import DRIVER, WorkerLogs, require_log_uri, with_log_uri
from pgjobs.runs.run import Run, cancel, get_run, read_run
from pgjobs.runs.summary import listing, status
from pgjobs.runs.wait import WaitOptions, wait
from pgjobs.submit.api_model import refuse_what_the_model_forbids
from pgjobs.submit.application import refuse_misfit
from pgjobs.submit.arguments import check_arguments
from pgjobs.submit.start import describe, prepare, start

Connect = Callable[[], Clients]
"""Creates the clients. Commands that make no call do not use it, and need no credentials."""

PAGE = 50
"""The maximum number of runs that ListJobRuns returns in one answer."""


def run(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Run the command that the options name. Returns the exit status.

    Raises:
        DeployError: An error that the user can correct.
    """
    if hasattr(options, "run"):  # reports a mistyped id before AWS is called
        request = {"applicationId": options.application_id, "jobRunId": options.run}
        refuse_what_the_model_forbids("GetJobRun", request)
    return COMMANDS[options.command](options, connect, console)


def submit(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Upload, start the run, and with --wait follow it."""
    request, payload = prepare(options)
    shown = check_arguments(options.archive, payload.script.content, options.entry, options.arguments, console.tell)
    if shown:  # the job printed its help, so no run is started
        console.print(shown.rstrip())
        return OK
    if options.dry_run:
        console.print(json.dumps(request, indent=2))
        return OK
    clients = connect()
    if not options.any_application:
        refuse_misfit(clients.runs, options.application_id, payload.manifest.content if payload.manifest else None)
    started = start(clients, request, payload, console)
    console.tell(describe(started))
    if not options.wait:
        console.print(started.run.run_id)
        return started.run.status if started.earlier and started.run.ended else OK
    return wait(clients, started.run, wait_options(options), console)


def run_here(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Execute the request on this machine."""
    del connect
    request, payload = prepare(options)
    check_arguments(options.archive, payload.script.content, options.entry, options.arguments, console.tell)
    if options.dry_run:
        console.print(json.dumps(request, indent=2))
        return OK
    with tempfile.TemporaryDirectory(prefix="pgjobs-run-local-") as folder:
        script, work = Path(folder, f"{options.entry}.py"), Path(folder, "work")
        script.write_bytes(payload.script.content)
        work.mkdir()
        files = {payload.archive.uri: options.archive.resolve(), payload.script.uri: script}
        return run_local(request, files, work, Path.cwd(), os.environ)


def show_status(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print a run, its attempts and its cost."""
    clients = connect()
    job_run = get_run(clients, options.application_id, options.run)
    console.print(status(replace(job_run, log_uri=with_log_uri(clients, job_run)), list(attempts(clients, job_run))))
    return OK


def show_logs(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print the logs of a worker as they are, or follow those of the driver."""
    clients = connect()
    job_run = get_run(clients, options.application_id, options.run)
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
    clients = connect()
    job_run = get_run(clients, options.application_id, options.run)
    if job_run.ended:
        console.tell(f"It has ended: {job_run.state}.")
        return OK
    console.tell(cancel(clients, job_run, options.grace))
    if not options.wait:
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
    console.print(listing(job_runs) if job_runs else "No runs found.")
    return OK


def show_dashboard(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print the URL of a run's Spark UI."""
    request: dict[str, Any] = {"applicationId": options.application_id, "jobRunId": options.run}
    if options.attempt is not None:
        request["attempt"] = options.attempt
    refuse_what_the_model_forbids("GetDashboardForJobRun", request)
    with aws_errors():
        console.print(connect().runs.get_dashboard_for_job_run(**request)["url"])
    return OK


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


COMMANDS: Mapping[str, Callable[[argparse.Namespace, Connect, Console], int]] = {
    "submit": submit,
    "run-local": run_here,
    "status": show_status,
    "logs": show_logs,
    "cancel": cancel_run,
    "list": list_runs,
    "dashboard": show_dashboard,
}
