"""The command line of `pgjobs`: flags, their configured defaults, and the flags that a command requires."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pgjobs.archive.manifest import NAME
from pgjobs.cli.config import variable
from pgjobs.runs.log_rotation import SHOWN
from pgjobs.submit.request import MODES

DEFAULT_WAIT_MINUTES = 1_440
DEFAULT_GRACE = 60
SHORTEST_GRACE, LONGEST_GRACE = 15, 1_800
"""Seconds; https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_CancelJobRun.html."""

EXAMPLES = """
examples:
  pgjobs submit load_table --application-id 00f1abc --role arn:aws:iam::123456789012:role/jobs \\
      --code s3://bucket/code --logs s3://bucket/logs --wait \\
      -- --source s3://bucket/orders/ --table orders --load-id orders/1
  pgjobs submit load_table --dry-run -- ...     print the request without calling AWS
  pgjobs run-local load_table -- ...            execute the same on this machine
  pgjobs logs 00f2def --follow

Flags have defaults in [tool.pgjobs.deploy] of ./pyproject.toml, and in variables such as PGJOBS_DEPLOY_ROLE.

exit status: 0 done, the run succeeded; 1 the run failed, or AWS refused; 2 wrong usage, nothing was submitted;
  3 the run was cancelled; 4 EMR ended it at --timeout-minutes; 5 --wait-minutes have passed; 130 interrupted
"""


def parse(arguments: Sequence[str], defaults: Mapping[str, Any]) -> argparse.Namespace:
    """Return the options. Their `arguments` are those of the job, after `--`.

    Args:
        arguments: The words of the command line.
        defaults: The defaults by flag, without dashes.

    Raises:
        SystemExit: The command line is wrong; with status 2.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    parser = build_parser(defaults)
    options, unknown = parser.parse_known_args(arguments[:end])
    options.arguments = list(arguments[end + 1 :])
    for fault in _faults(options, unknown):
        parser.error(fault)
    return options


def _faults(options: argparse.Namespace, unknown: Sequence[str]) -> Iterator[str]:
    """Yield the errors in the options. argparse does not check configured values."""
    if unknown:
        yield f"unrecognized: {' '.join(unknown)} (the job's own arguments come last, after --)"
    if options.arguments and not hasattr(options, "entry"):
        yield f"{options.command} accepts no arguments of a job"
    required = ("application-id", "role", "code") if options.command == "submit" else ("application-id",)
    missing = [flag for flag in required if not getattr(options, flag.replace("-", "_"))]
    if missing:
        flags = ", ".join(f"--{flag} ({variable(flag)})" for flag in missing)
        yield f"missing: {flags}. Give the flag, set the variable, or add it to [tool.pgjobs.deploy] in pyproject.toml"
    for flag, allowed in (("mode", MODES), ("show", SHOWN)):
        if getattr(options, flag, next(iter(allowed))) not in allowed:
            yield f"--{flag} must be one of {', '.join(allowed)}"
    for flag, least in (("wait-minutes", 0), ("attempt", 1), ("executor", 0)):
        number = getattr(options, flag.replace("-", "_"), None)
        if number is not None and number < least:
            yield f"--{flag} must be at least {least}"
    grace = getattr(options, "grace", 0)
    if grace and not SHORTEST_GRACE <= grace <= LONGEST_GRACE:
        yield f"--grace must be 0, or from {SHORTEST_GRACE} to {LONGEST_GRACE}"
    if getattr(options, "follow", False) and (options.attempt or options.executor is not None):
        yield "--follow shows all attempts of the driver: omit --attempt and --executor"


def build_parser(defaults: Mapping[str, Any]) -> argparse.ArgumentParser:
    """Return the parser of the command line. The words after `--` belong to the job."""
    parser = argparse.ArgumentParser(
        prog="pgjobs",
        description="Submit jobs to EMR Serverless, follow them, and run the same submission on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, meaning: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=meaning, description=f"{meaning}.", allow_abbrev=False)

    add_submitting(add)
    add_looking(add)
    for command in commands.choices.values():
        command.add_argument("--region", default="", help="default: AWS_REGION, or the profile's")
        command.add_argument("--profile", default="", help="a profile of ~/.aws/config")
        _set_defaults(command, defaults)
    return parser


Add = Callable[[str, str], argparse.ArgumentParser]
"""Adds a command with a name and a description."""


def add_submitting(add: Add) -> None:
    """Add the commands that run a job: submit and run-local."""
    submit = add("submit", "Upload the archive and start a job run")
    add_submission(submit)
    submit.add_argument("--again", action="store_true", help="start a new run even if the same load id had one")
    submit.add_argument(
        "--any-application",
        action="store_true",
        help="submit without comparing the archive's release, architecture and Python with the application's",
    )
    submit.add_argument("--wait", action="store_true", help="wait until the run has ended, and show its logs")
    add_waiting(submit)
    local = add("run-local", "Execute on this machine what StartJobRun would execute")
    local.set_defaults(
        application_id="local", role="arn:aws:iam::000000000000:role/local", code="s3://local", again=False
    )
    add_submission(local)


def add_looking(add: Add) -> None:
    """Add the commands for existing runs."""
    status = add("status", "Show a run, its attempts and its cost")
    logs = add("logs", "Print what the workers of a run have written to S3")
    cancel = add("cancel", "Cancel a run")
    dashboard = add("dashboard", "Print the URL of a run's Spark UI, which is valid for an hour")
    listing = add("list", "List the newest runs of an application")
    for command in (status, logs, cancel, dashboard):
        command.add_argument("run", metavar="RUN", help="the run's id")
    for command in (status, logs, cancel, dashboard, listing):
        command.add_argument("--application-id", default="", metavar="ID")
    for command in (logs, dashboard):
        command.add_argument("--attempt", type=int, metavar="NUMBER", help="default: the newest")
    for command in (logs, cancel):
        add_waiting(command)
    logs.add_argument("--follow", action="store_true", help="show new lines until the run has ended")
    logs.add_argument("--executor", type=int, metavar="NUMBER", help="an executor's logs instead of the driver's")
    cancel.add_argument("--wait", action="store_true", help="wait until it is cancelled")
    listing.add_argument("--state", action="append", default=[], type=str.upper, metavar="STATE", help="only these")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="default: 20")


def add_submission(command: argparse.ArgumentParser) -> None:
    """Add the flags from which a StartJobRun request is built. submit and run-local share them."""
    add = command.add_argument
    add("entry", metavar="ENTRY", help="the job, such as load_table")
    add("--application-id", metavar="ID", help="the EMR Serverless application")
    add("--role", metavar="ARN", help="the job's role")
    add("--code", metavar="S3_URI", help="upload archive and script to releases/<sha256>/ below it")
    add("--archive", type=Path, default=Path("dist") / NAME, metavar="FILE", help=f"default: dist/{NAME}")
    add("--name", default="", help="default: the entry's")
    add("--tag", action="append", default=[], metavar="K=V")
    add("--conf", action="append", default=[], metavar="K=V", help="Spark configuration; not the archive's own keys")
    add("--logs", default="", metavar="S3_URI", help="where to write the workers' logs")
    add("--log-key", default="", metavar="ARN", help="the KMS key that encrypts the logs")
    add("--cloudwatch", action=argparse.BooleanOptionalAction, default=False, help="logs to CloudWatch, too")
    add("--log-group", default="", metavar="NAME", help="default: /aws/emr-serverless")
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
    add("--mode", choices=MODES, default="batch", help="default: batch")
    add("--dry-run", action="store_true", help="print the request without calling AWS")


def add_waiting(command: argparse.ArgumentParser) -> None:
    """Add the flags for waiting for a run."""
    add = command.add_argument
    add("--wait-minutes", type=int, default=DEFAULT_WAIT_MINUTES, metavar="N", help="default: 1440; 0: as it takes")
    add("--grace", type=int, default=DEFAULT_GRACE, metavar="SECONDS", help="for a cancelled run to end; default: 60")
    add("--show", choices=tuple(SHOWN), default="both", help="of the driver's output; default: both")


def _set_defaults(command: argparse.ArgumentParser, defaults: Mapping[str, Any]) -> None:
    """Replace the defaults of the command's flags by configured values."""
    known = {action.dest for action in command._actions}  # noqa: SLF001 - argparse has no public list of its flags
    named = {key.replace("-", "_"): value for key, value in defaults.items()}
    command.set_defaults(**{name: value for name, value in named.items() if name in known})
