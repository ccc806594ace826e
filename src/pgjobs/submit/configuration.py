"""What a submission takes from JSON files: the application's configuration, and the policy that restricts a run.

https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_Configuration.html
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-cli-execution.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pgjobs.errors import DeployError

CONFIGURATION, POLICY = "--application-configuration", "--execution-iam-policy"

SPARK_DEFAULTS = "spark-defaults"
"""The classification with Spark's own configuration. A --conf with the same key counts instead."""

_FIELDS = ("classification", "properties", "configurations")


def read_configuration(file: str) -> list[dict[str, Any]]:
    """Return the configuration in a file, as the API has it: [{"classification": ..., "properties": {...}}, ...].

    Args:
        file: The file; empty for none.

    Raises:
        DeployError: It has another form.
    """
    if not file:
        return []
    content = _read(CONFIGURATION, file)
    faults = list(_faults(content, file))
    if faults:
        raise DeployError(f"{CONFIGURATION} {' '.join(faults)}")
    return list(content)


def _faults(content: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield a sentence for each part that is not what the API has there."""
    if not isinstance(content, list):
        yield f'{place} must be a list: [{{"classification": "spark-defaults", "properties": {{...}}}}].'
        return
    for number, entry in enumerate(content, 1):
        here = f"{place}, entry {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("classification"), str):
            yield f'{here}, has no "classification".'
            continue
        unknown = sorted(set(entry) - set(_FIELDS))
        if unknown:
            yield f"{here}, has unknown {', '.join(unknown)}. Known: {', '.join(_FIELDS)}."
        properties = entry.get("properties", {})
        if not isinstance(properties, dict):
            yield f"{here}: properties must be an object."
        else:
            wrong = [key for key, value in properties.items() if not isinstance(value, str)]
            if wrong:
                yield f'{here}: {", ".join(wrong)} must be text, in quotes: "4", "true".'
        yield from _faults(entry.get("configurations", []), here)


def spark_defaults(configurations: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return Spark's configuration among the application's."""
    merged: dict[str, str] = {}
    for entry in configurations:
        if entry["classification"] == SPARK_DEFAULTS:
            merged.update(entry.get("properties", {}))
    return merged


def values_of(configurations: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return all values, by place: {"--application-configuration spark-defaults spark.x": "1"}."""
    found: dict[str, str] = {}
    for entry in configurations:
        place = f"{CONFIGURATION} {entry['classification']}"
        found.update({f"{place} {key}": value for key, value in entry.get("properties", {}).items()})
        found.update(values_of(entry.get("configurations", [])))
    return found


def read_policies(texts: Sequence[str]) -> dict[str, Any]:
    """Return the policies that restrict a run, as the API has them.

    Args:
        texts: ARNs of policies, and at most one file with a policy document.

    Raises:
        DeployError: A file is no policy, or there are several.
    """
    arns = [text for text in texts if text.startswith("arn:")]
    files = [text for text in texts if not text.startswith("arn:")]
    wrong = [arn for arn in arns if not re.fullmatch(r"arn:aws[\w-]*:iam::(aws|\d{12}):policy/\S+", arn)]
    if wrong:
        raise DeployError(
            f"{POLICY} {' '.join(wrong)} is not the ARN of a policy: write arn:aws:iam::123456789012:policy/NAME."
        )
    if len(files) > 1:
        raise DeployError(f"{POLICY} takes one file, and ARNs beside it; it has {' and '.join(files)}.")
    policy: dict[str, Any] = {}
    for file in files:
        document = _read(POLICY, file)
        if not isinstance(document, dict) or "Statement" not in document:
            raise DeployError(f'{POLICY} {file} is not an IAM policy: it has no "Statement".')
        policy["policy"] = json.dumps(document, separators=(",", ":"))
    return {**policy, **({"policyArns": arns} if arns else {})}


def _read(flag: str, file: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise DeployError(f"{flag} {file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DeployError(f"{flag} {file} is not JSON: {error}.") from None
