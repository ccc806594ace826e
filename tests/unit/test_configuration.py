"""Files with the application's configuration and with policies: read as the API has them, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgjobs.errors import DeployError
from pgjobs.submit.configuration import read_configuration, read_policies, spark_defaults, values_of

CONFIGURATION = [
    {"classification": "spark-defaults", "properties": {"spark.executor.cores": "2"}},
    {
        "classification": "spark-driver-log4j2",
        "properties": {"rootLogger.level": "warn"},
        "configurations": [{"classification": "inner", "properties": {"k": "v"}}],
    },
]


def written(folder: Path, text: str) -> str:
    file = folder / "given.json"
    file.write_text(text)
    return str(file)


def test_configuration_is_passed_on_as_it_is(tmp_path: Path) -> None:
    read = read_configuration(written(tmp_path, json.dumps(CONFIGURATION)))
    assert read == CONFIGURATION
    assert spark_defaults(read) == {"spark.executor.cores": "2"}
    assert values_of(read) == {
        "--application-configuration spark-defaults spark.executor.cores": "2",
        "--application-configuration spark-driver-log4j2 rootLogger.level": "warn",
        "--application-configuration inner k": "v",
    }
    assert read_configuration("") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("{}", "must be a list"),
        ("[1]", 'entry 1, has no "classification".'),
        ('[{"classifcation": "spark-defaults"}]', 'entry 1, has no "classification".'),
        ('[{"classification": "x", "property": {}}]', "has unknown property. Known: classification, properties"),
        ('[{"classification": "x", "properties": {"spark.x": 4, "spark.y": "1"}}]', "spark.x must be text, in quotes"),
        ('[{"classification": "x", "properties": []}]', "properties must be an object"),
        ('[{"classification": "x", "configurations": [{}]}]', "entry 1, entry 1, has no"),
    ],
)
def test_configuration_of_another_form_is_refused_by_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DeployError) as refused:
        read_configuration(written(tmp_path, text))
    assert told in str(refused.value)
    assert str(refused.value).startswith("--application-configuration ")


ARN = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


def test_policies_are_arns_and_one_document_without_its_blanks(tmp_path: Path) -> None:
    """AWS accepts 2048 characters."""
    file = written(tmp_path, json.dumps(POLICY, indent=4))
    read = read_policies([ARN, file])
    assert read == {"policy": json.dumps(POLICY, separators=(",", ":")), "policyArns": [ARN]}
    assert read_policies([]) == {}


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["none.json"], "--execution-iam-policy none.json cannot be read: No such file or directory."),
        (["arn:aws:iam::123456789012:role/x"], "role/x is not the ARN of a policy: write arn:aws:iam::"),
        (["a.json", "b.json"], "takes one file, and ARNs beside it; it has a.json and b.json"),
    ],
)
def test_policies_that_cannot_be_meant_are_refused(texts: list[str], told: str) -> None:
    with pytest.raises(DeployError, match=told):
        read_policies(texts)


def test_a_document_without_statements_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match='is not an IAM policy: it has no "Statement"'):
        read_policies([written(tmp_path, "{}")])
