"""The commands that run a job from the archive: submit, and run-local."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pgjobs.archive.manifest import NAME
from pgjobs.aws import Clients
from pgjobs.cli.commands import Connect
from pgjobs.cli.following import wait_options
from pgjobs.console import Console
from pgjobs.errors import OK, DeployError
from pgjobs.local.run_local import run_local
from pgjobs.runs.summary import value
from pgjobs.runs.wait import wait
from pgjobs.submit import aws_cli
from pgjobs.submit.application import refuse_far_buckets, refuse_misfit
from pgjobs.submit.arguments import check_arguments
from pgjobs.submit.extras import python_files
from pgjobs.submit.payload import Extra, Payload
from pgjobs.submit.start import describe, prepare, send, start


def submit(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Upload, start the run, and with --wait follow it."""
    request, payload = prepare(options)
    shown = checked(options, payload, console)
    if shown:  # the job printed its help, so no run is started
        console.print(shown.rstrip())
        return OK
    if options.dry_run:
        console.print(json.dumps(request, indent=2))
        return OK
    clients = connect()
    check_application(options, clients, payload)
    started = start(clients, request, payload, console)
    console.tell(describe(started))
    if not options.wait:
        console.answer(started.run.run_id, {**value(started.run), "earlier": started.earlier})
        return started.run.status if started.earlier and started.run.ended else OK
    return wait(clients, started.run, wait_options(options), console)


def show_request(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print the request of StartJobRun, or with --cli commands of the AWS CLI. With --upload, make it ready to be sent.

    Raises:
        DeployError: The submission is wrong, or the archive is for another application.
    """
    if options.cli and options.upload:
        raise DeployError("--cli prints commands that upload what is missing: omit --upload.")
    request, payload = prepare(options)
    shown = checked(options, payload, console)
    if shown:
        console.print(shown.rstrip())
        return OK
    if options.upload and not options.dry_run:
        clients = connect()
        check_application(options, clients, payload)
        send(clients, payload, console)
    if options.cli:
        console.print(aws_cli.script(request, payload, options.archive))
    else:
        console.print(json.dumps(request, indent=2))
    return OK


def run_here(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Execute the request on this machine.

    Raises:
        DeployError: The script is in S3.
    """
    del connect
    request, payload = prepare(options)
    if payload.entry.content is None:
        raise DeployError("run-local reads no script from S3: give its file, or the name of a job in the archive.")
    checked(options, payload, console)
    if options.dry_run:
        console.print(json.dumps(request, indent=2))
        return OK
    with tempfile.TemporaryDirectory(prefix="pgjobs-run-local-") as folder:
        script, work = Path(folder, f"{payload.entry.name}.py"), Path(folder, "work")
        script.write_bytes(payload.entry.content)
        work.mkdir()
        archive = Path(folder, NAME)  # spark.archives allows no blanks in a path, and the user's may have some
        archive.write_bytes(payload.archive.content)
        files = {payload.archive.uri: archive, payload.script_uri: script}
        files.update(written(payload.extras, Path(folder, "extras")))
        return run_local(request, files, work, Path.cwd(), os.environ)


def check_application(options: argparse.Namespace, clients: Clients, payload: Payload) -> None:
    """Refuse an archive for another application, and buckets of another region, unless that is not to be checked.

    Raises:
        DeployError: It does not fit.
    """
    if not options.any_application:
        manifest = payload.manifest.content if payload.manifest else None
        region = refuse_misfit(clients.runs, options.application_id, manifest)
        uris = [payload.archive.uri, payload.script_uri, *([options.logs] if options.logs else [])]
        refuse_far_buckets(clients.objects, region, uris if region else [])


def checked(options: argparse.Namespace, payload: Payload, console: Console) -> str:
    """Have the job check its arguments. Returns its output if it would exit at once with success, as for --help.

    Raises:
        DeployError: The job would refuse them.
    """
    return check_arguments(
        options.archive, payload.entry, options.arguments, console.tell, python_files(payload.extras)
    )


def written(extras: Sequence[Extra], folder: Path) -> dict[str, Path]:
    """Write the files that a job needs beside the archive, each under its own name. Returns them by URI."""
    files: dict[str, Path] = {}
    for number, extra in enumerate(extras):
        if extra.content is not None:
            files[extra.uri] = folder / str(number) / Path(extra.path).name
            files[extra.uri].parent.mkdir(parents=True)
            files[extra.uri].write_bytes(extra.content)
    return files
