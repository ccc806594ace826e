"""Submissions to EMR Serverless: `python -m deploy run-local load_table -- <the job's own arguments>`.

run-local executes here what StartJobRun would there; `--dry-run` prints the request instead.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.archive import NAME, ROOT
from deploy.errors import DeployError
from deploy.request import Submission, build_request, check_entry
from deploy.run_local import run_local


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    options = parser().parse_args(given[:end])
    options.arguments = given[end + 1 :]
    try:
        request, files = prepare(options)
        if options.dry_run:
            print(json.dumps(request, indent=2))
            return 0
        with tempfile.TemporaryDirectory(prefix="pgjobs-run-local-") as folder:
            return run_local(request, files, Path(folder), os.environ)
    except (DeployError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def prepare(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Path]]:
    """The request, and the local file for each S3 URI in it.

    Keys in S3 hold the archive's hash: what a queued run refers to is never overwritten.
    """
    if not options.archive.exists():
        raise DeployError(f"There is no archive {options.archive}: run make package.")
    with tarfile.open(options.archive) as archive:
        check_entry(options.entry, archive.getnames())
    digest = hashlib.sha256(options.archive.read_bytes()).hexdigest()
    prefix = f"{options.code.rstrip('/')}/releases/{digest}"
    script = ROOT / "src" / "jobs" / f"{options.entry}.py"
    files = {f"{prefix}/{NAME}": options.archive, f"{prefix}/{script.name}": script}
    archive_uri, script_uri = files
    submission = Submission(
        entry=options.entry,
        arguments=tuple(options.arguments),
        application_id=options.application_id,
        role=options.role,
        archive=archive_uri,
        script=script_uri,
        name=options.name,
        conf=pairs("--conf", options.conf),
        tags=pairs("--tag", options.tag),
        logs=options.logs,
        cloudwatch=options.cloudwatch,
        retries=options.retries,
        timeout_minutes=options.timeout_minutes,
        mode=options.mode,
    )
    return build_request(submission), files


def pairs(flag: str, texts: Sequence[str]) -> dict[str, str]:
    """`key=value` as a mapping.

    Raises:
        DeployError: one is not of that form.
    """
    found = [text.partition("=") for text in texts]
    if not all(key and equals for key, equals, _ in found):
        raise DeployError(f"{flag} must be of the form key=value.")
    return {key: value for key, _, value in found}


def parser() -> argparse.ArgumentParser:
    """The command line; what comes after `--` is the job's own."""
    made = argparse.ArgumentParser(
        prog="python -m deploy",
        description="Run the jobs as EMR Serverless does.",
        epilog="example: python -m deploy run-local load_table -- --source rows.csv --format csv --table t",
    )
    commands = made.add_subparsers(dest="command", required=True)
    local = commands.add_parser("run-local", help="execute here what StartJobRun would execute there")
    local.add_argument("entry", help="the job, such as load_table")
    local.add_argument("--archive", type=Path, default=Path("dist") / NAME, help="default: dist/pyspark_venv.tar.gz")
    local.add_argument("--application-id", default="local")
    local.add_argument("--role", default="local", metavar="ARN")
    local.add_argument("--code", default="s3://local", metavar="S3_URI", help="where archive and script would be")
    local.add_argument("--logs", default="", metavar="S3_URI")
    local.add_argument("--cloudwatch", action="store_true")
    local.add_argument("--name", default="")
    local.add_argument("--tag", action="append", default=[], metavar="K=V")
    local.add_argument("--conf", action="append", default=[], metavar="K=V")
    local.add_argument("--retries", type=int, default=0)
    local.add_argument("--timeout-minutes", type=int, default=720)
    local.add_argument("--mode", choices=("batch", "streaming"), default="batch")
    local.add_argument("--dry-run", action="store_true", help="print the request")
    return made


if __name__ == "__main__":
    sys.exit(main())
