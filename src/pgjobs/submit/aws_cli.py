"""A submission as commands of the AWS CLI, for those who start jobs without pgjobs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pgjobs.archive.manifest import beside
from pgjobs.aws import split_uri
from pgjobs.submit.payload import Payload


def script(request: Mapping[str, Any], payload: Payload, archive: Path) -> str:
    """Return a script for sh: it uploads what is not there yet, and starts the run.

    Args:
        request: The parameters of StartJobRun.
        payload: The objects that the request refers to.
        archive: The local file of the archive.
    """
    return "\n".join(["set -e", *_uploads(payload, archive), _start(request)])


def _uploads(payload: Payload, archive: Path) -> Iterator[str]:
    """Yield a command for each object, the archive last: if it is there, so are the others."""
    for extra in payload.extras:
        if extra.content is not None:
            yield _upload(extra.uri, shlex.quote(extra.path))
    if payload.manifest is not None:
        yield _upload(payload.manifest.uri, shlex.quote(str(beside(archive))))
    if payload.script is not None:
        file = payload.entry.path
        if payload.entry.module:
            file = f"{payload.entry.name}.py"
            # In a folder of its own: the current one may have a file of this name.
            yield "unpacked=$(mktemp -d); trap 'rm -rf \"$unpacked\"' EXIT"
            unpacked = f'"$unpacked"/{shlex.quote(file)}'
            yield f"tar -xOzf {shlex.quote(str(archive))} {shlex.quote(payload.entry.path)} > {unpacked}"
            yield _upload(payload.script.uri, unpacked)
        else:
            yield _upload(payload.script.uri, shlex.quote(file))
    yield _upload(payload.archive.uri, shlex.quote(str(archive)))


def _upload(uri: str, file: str) -> str:
    """Return the command that uploads a file unless the object exists: the template's bucket accepts no other one.

    Args:
        uri: The object.
        file: The file, as a word of the shell.
    """
    bucket, key = split_uri(uri)
    place = f"--bucket {shlex.quote(bucket)} --key {shlex.quote(key)}"
    put = f"aws s3api put-object {place} --body {file} --if-none-match '*'"
    return f"aws s3api head-object {place} > /dev/null 2>&1 || {put}"


def _start(request: Mapping[str, Any]) -> str:
    return f"aws emr-serverless start-job-run --cli-input-json {shlex.quote(json.dumps(request))}"
