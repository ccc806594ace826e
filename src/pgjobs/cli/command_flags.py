"""The flags of each command of `pgjobs`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from pgjobs.archive.manifest import NAME
from pgjobs.archive.releases import ARCHITECTURES, DEFAULT_RELEASE
from pgjobs.runs.log_rotation import SHOWN
from pgjobs.submit.run_modes import MODES

DEFAULT_WAIT_MINUTES = 1_440
DEFAULT_GRACE = 60

SHELLS = ("bash", "zsh", "tcsh")
"""For which shtab writes completion."""


def add_submit(command: argparse.ArgumentParser) -> None:
    """Add the flags of submit."""
    add_submission(command)
    add = command.add_argument
    add("--again", action="store_true", help="start a new run even if the same load id had one")
    add_any_application(command)
    add("--wait", action="store_true", help="wait until the run has ended, and show its logs")
    add_waiting(command)
    add_json(command)
    add_account(command)


def add_request(command: argparse.ArgumentParser) -> None:
    """Add the flags of request."""
    command.set_defaults(again=False)
    add_submission(command)
    command.add_argument("--cli", action="store_true", help="a script with commands of the AWS CLI, for sh")
    command.add_argument("--upload", action="store_true", help="upload what the request refers to, and start no run")
    add_any_application(command)
    add_account(command)


def add_any_application(command: argparse.ArgumentParser) -> None:
    """Add the flag that skips a check of the application, for commands that upload an archive."""
    command.add_argument(
        "--any-application",
        action="store_true",
        help="do not compare the archive's release, architecture and Python with the application's",
    )


def add_run_local(command: argparse.ArgumentParser) -> None:
    """Add the flags of run-local."""
    command.set_defaults(
        application_id="local", role="arn:aws:iam::000000000000:role/local", code="s3://local", again=False
    )
    add_submission(command)


def add_status(command: argparse.ArgumentParser) -> None:
    """Add the flags of status."""
    add_run(command)
    add_json(command)


def add_logs(command: argparse.ArgumentParser) -> None:
    """Add the flags of logs."""
    add_run(command)
    add_attempt(command)
    add_waiting(command)
    command.add_argument("--follow", action="store_true", help="show new lines until the run has ended")
    command.add_argument("--executor", type=int, metavar="NUMBER", help="an executor's logs instead of the driver's")


def add_cancel(command: argparse.ArgumentParser) -> None:
    """Add the flags of cancel."""
    add_run(command)
    add_waiting(command)
    command.add_argument("--wait", action="store_true", help="wait until it is cancelled")
    add_json(command)


def add_list(command: argparse.ArgumentParser) -> None:
    """Add the flags of list."""
    add_application(command)
    command.add_argument("--state", action="append", default=[], type=str.upper, metavar="STATE", help="only these")
    command.add_argument("--limit", type=int, default=20, metavar="N", help="default: 20")
    add_json(command)


def add_dashboard(command: argparse.ArgumentParser) -> None:
    """Add the flags of dashboard."""
    add_run(command)
    add_attempt(command)
    add_json(command)


def add_init(command: argparse.ArgumentParser) -> None:
    """Add the flags of init."""
    command.add_argument("folder", type=Path, metavar="DIR", help="the project's folder; it may exist")
    command.add_argument("--name", default="", help="the package; default: the folder's name")
    add_json(command)


def add_package(command: argparse.ArgumentParser) -> None:
    """Add the flags of package."""
    add = command.add_argument
    add(
        "--with", dest="extras", action="append", default=[], metavar="PACKAGE", help="pack it, too: a name, or a wheel"
    )
    add(
        *("--requirements", "-r"),
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="also pack what this file pins by hash",
    )
    add("--self-contained", action="store_true", help="include an interpreter; hides the image's packages")
    add("--interpreter", type=Path, metavar="DIR", help="include this one, a python-build-standalone for the target")
    add("--output", type=Path, default=Path("dist"), metavar="DIR", help="folder (default: dist)")
    add("--release", default=DEFAULT_RELEASE, help=f"default: {DEFAULT_RELEASE}")
    add("--arch", choices=ARCHITECTURES, default="x86_64", help="default: x86_64")
    add("--python", metavar="PYTHON", help="another interpreter of the image; to include: 3.12")
    add_json(command)


def add_verify(command: argparse.ArgumentParser) -> None:
    """Add the flags of verify."""
    add = command.add_argument
    add("file", type=Path, nargs="?", default=Path("dist") / NAME, metavar="FILE", help=f"default: dist/{NAME}")
    add("--release", help="default: the manifest's")
    add("--arch", choices=ARCHITECTURES, help="default: the manifest's")
    add("--python", metavar="PYTHON", help="the interpreter of the image; default: the manifest's")
    add_json(command)


def add_completion(command: argparse.ArgumentParser) -> None:
    """Add the flags of completion."""
    command.add_argument("shell", choices=SHELLS)


ADDING: Mapping[str, Callable[[argparse.ArgumentParser], None]] = {
    "init": add_init,
    "package": add_package,
    "verify": add_verify,
    "submit": add_submit,
    "request": add_request,
    "run-local": add_run_local,
    "status": add_status,
    "logs": add_logs,
    "cancel": add_cancel,
    "list": add_list,
    "dashboard": add_dashboard,
    "completion": add_completion,
}
"""A command -> what adds its flags. Commands that run a job have that job's flags."""


def add_run(command: argparse.ArgumentParser) -> None:
    """Add what names an existing run."""
    command.add_argument("run", metavar="RUN", help="the run's id")
    add_application(command)


def add_application(command: argparse.ArgumentParser) -> None:
    """Add what names an application."""
    command.add_argument("--application-id", default="", metavar="ID")
    add_account(command)


def add_account(command: argparse.ArgumentParser) -> None:
    """Add the flags of every command that calls AWS."""
    command.add_argument("--region", default="", help="default: AWS_REGION, or the profile's")
    command.add_argument("--profile", default="", help="a profile of ~/.aws/config")


def add_attempt(command: argparse.ArgumentParser) -> None:
    """Add the number of an attempt."""
    command.add_argument("--attempt", type=int, metavar="NUMBER", help="default: the newest")


def add_json(command: argparse.ArgumentParser) -> None:
    """Add --json, for a command that answers."""
    command.add_argument("--json", action="store_true", help="print the answer as JSON, and nothing else, to stdout")


def add_submission(command: argparse.ArgumentParser) -> None:
    """Add the flags from which a StartJobRun request is built. submit and run-local share them."""
    add = command.add_argument
    add(
        "entry",
        metavar="ENTRY",
        help="load_table, a job or module of the archive, path/to/job.py, or s3://bucket/job.py",
    )
    add("--application-id", metavar="ID", help="the EMR Serverless application")
    add("--role", metavar="ARN", help="the job's role")
    add("--code", metavar="S3_URI", help="upload archive and script to releases/<sha256>/ below it")
    add("--archive", type=Path, default=Path("dist") / NAME, metavar="FILE", help=f"default: dist/{NAME}")
    add("--name", default="", help="default: the entry's")
    add("--tag", action="append", default=[], metavar="K=V")
    add("--conf", action="append", default=[], metavar="K=V", help="Spark configuration; not the archive's own keys")
    add("--application-configuration", default="", metavar="FILE", help="a JSON list of classifications, as in the API")
    add("--py-files", action="append", default=[], metavar="FILE", help="a module or ZIP to import, also in S3")
    add("--files", action="append", default=[], metavar="FILE", help="a file for the workers' folder, also in S3")
    add("--jars", action="append", default=[], metavar="FILE", help="a JAR for the class path, also in S3")
    add(
        "--execution-iam-policy",
        action="append",
        default=[],
        metavar="FILE|ARN",
        help="a policy that restricts the role for this run",
    )
    add("--logs", default="", metavar="S3_URI", help="where to write the workers' logs")
    add("--log-key", default="", metavar="ARN", help="the KMS key that encrypts the logs")
    add("--cloudwatch", action=argparse.BooleanOptionalAction, default=False, help="logs to CloudWatch, too")
    add("--log-group", default="", metavar="NAME", help="default: /aws/emr-serverless")
    add("--log-stream-prefix", default="", metavar="TEXT", help="what names of CloudWatch's log streams begin with")
    add(
        "--log-type",
        action="append",
        default=[],
        metavar="WORKER=OUTPUT,...",
        help="for CloudWatch: SPARK_EXECUTOR=STDERR,STDOUT; default: both of SPARK_DRIVER",
    )
    add("--managed-logs", action=argparse.BooleanOptionalAction, default=True, help="EMR's own, for the Spark UI")
    add("--prometheus", default="", metavar="URL", help="remote write endpoint for Spark's metrics")
    add("--retries", type=int, default=0, metavar="N", help="attempts after the first one (streaming: in an hour)")
    add(
        "--skip-secret-check",
        action="store_true",
        help="submit arguments, --conf and --tag unchecked, even if something looks like a password",
    )
    add("--idempotent", action="store_true", help="declare that the job may run twice, for --retries")
    add("--timeout-minutes", type=int, metavar="N", help="1 to 10080, default: 720; streaming: default 0, for never")
    add("--mode", type=str.lower, choices=MODES, default="batch", help="default: batch")
    add("--dry-run", action="store_true", help="print the request without calling AWS")


def add_waiting(command: argparse.ArgumentParser) -> None:
    """Add the flags for waiting for a run."""
    add = command.add_argument
    add("--wait-minutes", type=int, default=DEFAULT_WAIT_MINUTES, metavar="N", help="default: 1440; 0: as it takes")
    add("--grace", type=int, default=DEFAULT_GRACE, metavar="SECONDS", help="for a cancelled run to end; default: 60")
    add("--show", choices=tuple(SHOWN), default="both", help="of the driver's output; default: both")
