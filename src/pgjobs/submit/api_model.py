"""Checks a request against the API's own model, which is part of botocore: fields, lengths, patterns, ranges.

botocore checks fields and types before a call. The rest would be checked by the service, after the upload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from pgjobs.errors import DeployError

# The model's names of values that a user sets by a flag -> the flag.
_FLAGS: Mapping[str, str] = {
    "applicationId": "--application-id",
    "executionRoleArn": "--role",
    "name": "--name",
    "tags": "--tag",
    "executionTimeoutMinutes": "--timeout-minutes",
    "logUri": "--logs",
    "encryptionKeyArn": "--log-key",
    "logGroupName": "--log-group",
    "logStreamNamePrefix": "--log-stream-prefix",
    "logTypes": "--log-type",
    "applicationConfiguration": "--application-configuration",
    "properties": "--application-configuration",
    "policy": "--execution-iam-policy",
    "policyArns": "--execution-iam-policy",
    "remoteWriteUrl": "--prometheus",
    "jobRunId": "the run's id",
    "attempt": "--attempt",
    "states": "--state",
    "maxResults": "--limit",
}


# Descriptions in place of the model's patterns that are hard to read.
_EXAMPLES: Mapping[str, str] = {
    "--application-id": "00f1abcdefghij09",
    "the run's id": "00f2abcdefghij0a",
    "--role": "arn:aws:iam::123456789012:role/jobs",
    "--prometheus": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1234abcd/api/v1/remote_write",
    "--log-key": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}


def refuse_what_the_model_forbids(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that the service would refuse.

    Args:
        operation: The API's name of the call, "StartJobRun".
        request: Its parameters.

    Raises:
        DeployError: Names each value that does not fit, and the reason. The values themselves are not shown.
    """
    shape = _model().operation_model(operation).input_shape
    problems = list(faults(request, shape, "the request"))
    report = ParamValidator().validate(request, shape)  # its messages are hard to read, so they come last
    if problems or report.has_errors():
        raise DeployError(f"{operation} would refuse this: {' '.join(problems) or report.generate_report()}")


@lru_cache(maxsize=1)
def _model() -> Any:  # noqa: ANN401 - botocore carries no types
    """Return the service's model, which is slow to read. A session is not used: it would need a profile."""
    return ServiceModel(Loader().load_service_model("emr-serverless", "service-2"), "emr-serverless")


def faults(value: Any, shape: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - botocore's shapes carry no types
    """Yield a sentence for each value that the model forbids. botocore checks the names and types of the fields."""
    place = _FLAGS.get(place, place)
    rules, kind = shape.metadata, shape.type_name
    if kind in _UNITS:
        size = value if isinstance(value, int) else len(value)
        least, most = rules.get("min", size), rules.get("max", size)
        if not least <= size <= most:
            yield f"{place} {_UNITS[kind].format(size)}, and may have {least if 'min' in rules else 0} to {most}."
    if value not in rules.get("enum", [value]):
        yield f"{place} must be one of {', '.join(rules['enum'])}."
    if kind == "string" and not re.fullmatch(rules.get("pattern", ".*"), value, re.DOTALL):
        yield f"{place} must look like {_EXAMPLES.get(place, rules['pattern'])}."
    for inner, member, name in _inside(value, shape, place):
        yield from faults(inner, member, name)


# What a range in the model applies to.
_UNITS = {
    "list": "has {} items",
    "map": "has {} items",
    "string": "has {} characters",
    "integer": "has the value {}",
    "long": "has the value {}",
}


def _inside(value: Any, shape: Any, place: str) -> Iterator[tuple[Any, Any, str]]:  # noqa: ANN401 - as above
    """Yield the values inside a value, each with its shape and its place."""
    if shape.type_name == "structure":
        yield from ((value[name], member, name) for name, member in shape.members.items() if name in value)
    elif shape.type_name == "list":
        yield from ((item, shape.member, f"{place} {number}") for number, item in enumerate(value, 1))
    elif shape.type_name == "map":
        yield from ((key, shape.key, f"the key of {place} {key}") for key in value)
        yield from ((item, shape.value, f"{place} {key}") for key, item in value.items())
