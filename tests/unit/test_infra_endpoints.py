"""infra/template.yaml's ways to AWS: endpoints, which others use as well, and what workers may reach."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aws_calls import ACCOUNT, REGION, Call, asked
from iam import is_allowed
from our_stack import NETWORK, SECRET, STACK, SWITCHES, TEMPLATE, Stack, key
from spark_calls import OF_SPARK, READ, s3_call


def s3_endpoint() -> list[Any]:
    return list(STACK.resources["S3Endpoint"]["Properties"]["PolicyDocument"]["Statement"])


def test_the_s3_endpoint_passes_what_jobs_call_and_what_others_of_the_account_do() -> None:
    others = [s3_call("PutObject", "of-a-neighbour", "x"), s3_call("DeleteObject", "of-a-neighbour", "x")]
    requests = [request for call in [*OF_SPARK, *others] if call.service == "s3" for request in asked(call)]
    ours = [request.with_context(aws__PrincipalAccount=ACCOUNT) for request in requests]
    assert [request for request in ours if not is_allowed(request, s3_endpoint())] == []


@pytest.mark.parametrize(
    ("call", "passes"),
    [
        (s3_call("PutObject", "of-a-thief", "x"), False),
        (s3_call("DeleteObject", "data", READ), False),
        (s3_call("GetObject", "packages-for-everybody", "x"), True),
        (s3_call("PutObject", f"prod.{REGION}.appinfo.src", "sparks-ui"), True),
    ],
)
def test_the_s3_endpoint_passes_no_writing_by_other_accounts_but_emrs_own(call: Call, passes: bool) -> None:
    requests = [request.with_context(aws__PrincipalAccount="999999999999") for request in asked(call)]
    assert all(is_allowed(request, s3_endpoint()) for request in requests) == passes


def endpoints(**parameters: str) -> set[str]:
    made = Stack({**NETWORK, **parameters}).resources.values()
    return {
        body["Properties"]["ServiceName"].rpartition(".")[2] for body in made if body["Type"] == "AWS::EC2::VPCEndpoint"
    }


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_endpoint_has_a_switch(switch: str) -> None:
    assert endpoints(**{switch: "true", "RouteTableIds": "rtb-1"}) == {SWITCHES[switch]}


def test_no_endpoint_is_made_unasked() -> None:
    assert endpoints(SecretArn=SECRET, ParameterArn="arn:aws:ssm:x", DataKeyArn=key("data")) == set()


def test_what_a_private_name_leads_to_lets_the_whole_vpc_in() -> None:
    resources = Stack({**NETWORK, "CreateSsmEndpoint": "true"}).resources
    assert resources["SsmEndpoint"]["Properties"]["PrivateDnsEnabled"] is True
    [rule] = resources["EndpointSecurityGroup"]["Properties"]["SecurityGroupIngress"]
    assert (rule["CidrIp"], rule["FromPort"], rule["ToPort"]) == ("10.0.0.0/16", 443, 443)


@pytest.mark.parametrize(
    ("prefix_list", "reached"), [("", {"sg-1", "0.0.0.0/0"}), ("pl-63a5400a", {"sg-1", "pl-63a5400a", "10.0.0.0/16"})]
)
def test_workers_reach_the_database_and_aws_and_nothing_else_where_s3_is_named(
    prefix_list: str, reached: set[str]
) -> None:
    group = Stack({**NETWORK, "S3PrefixListId": prefix_list}).resources["ApplicationSecurityGroup"]["Properties"]
    ways = ("CidrIp", "DestinationPrefixListId", "DestinationSecurityGroupId")
    assert {rule[way] for rule in group["SecurityGroupEgress"] for way in ways if way in rule} == reached


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("DataPrefix", ["", "o", "orders", "a/b c/d"], ["orders/", "/orders", "ord*", "a?", "${x}"]),
        ("ExtractPrefix", ["", "lake/out"], ["lake/", "*"]),
        ("S3PrefixListId", ["", "pl-63a5400a"], ["sg-1"]),
        ("VpcCidr", ["10.0.0.0/16"], ["", "10.0.0.0", "vpc-1"]),
    ],
)
def test_parameters_that_cannot_be_right_are_refused(parameter: str, good: list[str], bad: list[str]) -> None:

    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert [text for text in [*good, *bad] if re.fullmatch(pattern, text)] == good
