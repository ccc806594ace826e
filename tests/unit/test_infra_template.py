"""infra/template.yaml: clean for cfn-lint; its buckets, roles and groups. Permissions: tests/aws."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from cfnlint.decode import decode

from pgjobs.archive.releases import DEFAULT_RELEASE

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
CONTENT: Mapping[str, Any] = decode(str(TEMPLATE))[0] or {}
RESOURCES: Mapping[str, Any] = CONTENT["Resources"]


def of_type(kind: str) -> dict[str, Mapping[str, Any]]:
    return {name: body["Properties"] for name, body in RESOURCES.items() if body["Type"] == kind}


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - IAM takes one, or a list
    return value if isinstance(value, list) else [value]


def statements(value: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - any part of the template
    """Every statement of a policy, wherever it stands."""
    if isinstance(value, dict):
        if "Effect" in value:
            yield value
        for part in value.values():
            yield from statements(part)
    elif isinstance(value, list):
        for part in value:
            yield from statements(part)


# An endpoint's policy is for everybody who uses its routes, and gives nobody a permission.
OF_IAM = [body for body in RESOURCES.values() if body["Type"] != "AWS::EC2::VPCEndpoint"]
ALLOWED = [statement for statement in statements(OF_IAM) if statement["Effect"] == "Allow"]


def test_cfn_lint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([str(linter), str(TEMPLATE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_yaml_aliases_and_merges_are_not_used() -> None:
    """cfn-lint takes them, and CloudFormation does not."""
    code = [line.partition(" #")[0] for line in TEMPLATE.read_text().splitlines()]
    assert not [line for line in code if "<<:" in line or ": &" in line or ": *" in line]


def test_no_permission_is_for_everything() -> None:
    assert len(ALLOWED) >= 15
    for statement in ALLOWED:
        assert "*" not in as_list(statement.get("Resource", "")), statement
        assert not [action for action in as_list(statement["Action"]) if "*" in action], statement


def test_actions_on_emr_serverless_are_operations_of_its_api() -> None:
    model = botocore.session.get_session().get_service_model("emr-serverless")
    actions = {action for statement in ALLOWED for action in as_list(statement["Action"])}
    wanted = {action.partition(":")[2] for action in actions if action.startswith("emr-serverless:")}
    assert wanted
    assert wanted <= set(model.operation_names)


def test_the_jobs_role_is_assumed_by_this_application_alone() -> None:
    [trust] = RESOURCES["JobRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    text, names = trust["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert text.endswith(":/applications/${Id}")
    assert names["Id"]["Fn::If"][:2] == ["MakesApplication", {"Ref": "Application"}]
    assert "aws:SourceAccount" in trust["Condition"]["StringEquals"]


def test_the_role_is_passed_to_emr_serverless_alone() -> None:
    passing = [statement for statement in ALLOWED if "iam:PassRole" in as_list(statement["Action"])]
    assert len(passing) == 2  # submitters, and the state machine
    role = {"Fn::If": ["MakesRole", {"Fn::GetAtt": ["JobRole", "Arn"]}, {"Ref": "ExistingJobRoleArn"}]}
    for statement in passing:
        assert statement["Resource"] == role
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}


def test_a_key_is_used_through_the_service_that_it_is_for() -> None:
    """But for the logs': EMR keeps logs in several places."""
    using = [statement for statement in ALLOWED if "kms:Decrypt" in as_list(statement["Action"])]
    through = {
        statement["Resource"]["Ref"] for statement in using if "kms:ViaService" in str(statement.get("Condition"))
    }
    assert through == {"SecretKeyArn", "DataKeyArn", "ExtractKeyArn"}
    assert {statement["Resource"]["Ref"] for statement in using} - through == {"LogKeyArn"}


@pytest.mark.parametrize("bucket", sorted(of_type("AWS::S3::Bucket")))
def test_a_bucket_is_encrypted_private_and_tidy(bucket: str) -> None:
    properties = RESOURCES[bucket]["Properties"]
    assert properties["BucketEncryption"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["LifecycleConfiguration"]["Rules"]
    assert RESOURCES[bucket]["DeletionPolicy"] == "Retain"


WORKERS = [{"Ref": "ApplicationSecurityGroup"}, {"Ref": "ExistingSecurityGroupId"}]


def test_nobody_comes_in_from_an_address_but_the_vpc_to_its_endpoints() -> None:
    groups = of_type("AWS::EC2::SecurityGroup").values()
    rules = [rule for group in groups for rule in group.get("SecurityGroupIngress", [])]
    rules += of_type("AWS::EC2::SecurityGroupIngress").values()
    assert [rule.get("CidrIp") for rule in rules] == [{"Ref": "VpcCidr"}, None]
    assert rules[1]["SourceSecurityGroupId"]["Fn::If"][1:] == WORKERS


def test_workers_take_no_connections_and_the_database_lets_them_in() -> None:
    group = RESOURCES["ApplicationSecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
    assert RESOURCES["DatabaseIngress"]["Properties"]["SourceSecurityGroupId"]["Fn::If"][1:] == WORKERS


def test_the_application_is_of_the_release_that_archives_are_packed_for() -> None:
    assert CONTENT["Parameters"]["ReleaseLabel"]["Default"] == DEFAULT_RELEASE


def test_each_statement_of_a_policy_says_what_it_is_for() -> None:
    lines = TEMPLATE.read_text().splitlines()
    heads = [number for number, line in enumerate(lines) if re.match(r" +- (Sid|Effect): ", line)]
    assert len(heads) > 30
    # The statement of a condition stands below !If and the condition's name.
    alone = [lines[head] for head in heads if not any("# " in line for line in lines[head - 3 : head])]
    assert alone == []


def test_the_template_is_small_enough_to_be_sent_without_a_bucket() -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html."""
    assert TEMPLATE.stat().st_size <= 51_200
