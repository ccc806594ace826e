"""The stack that infra/template.yaml makes, with made-up names; its policies, and what they allow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_calls import ACCOUNT, REGION
from cfnlint.decode import decode
from emr_runs import APPLICATION, ROLE
from iam import Request, is_allowed
from stack import stack

TEMPLATE: Mapping[str, Any] = decode(str(Path(__file__).parents[2] / "infra" / "template.yaml"))[0] or {}


def key(name: str) -> str:
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"


SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:shop/loader-AbCdEf"
NETWORK = {"VpcId": "vpc-1", "VpcCidr": "10.0.0.0/16", "SubnetIds": "subnet-1", "DatabaseSecurityGroupId": "sg-1"}
WHOLE_BUCKETS = {**NETWORK, "DataBucket": "data", "ExtractBucket": "lake"}
EVERYTHING = {
    **WHOLE_BUCKETS,
    "DataPrefix": "orders",
    "DataKeyArn": key("data"),
    "ExtractPrefix": "out/orders",
    "ExtractKeyArn": key("lake"),
    "SecretArn": SECRET,
    "SecretKeyArn": key("secret"),
    "ParameterArn": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/password",
    "DatabaseResourceId": "db-ABC",
    "LogKeyArn": key("logs"),
    "CreateS3Endpoint": "true",
    "RouteTableIds": "rtb-1",
    "GlueDatabase": "lake",
    "ReleaseUri": f"s3://code-bucket/code/releases/{'0' * 64}",
    "ScheduleExpression": "cron(0 2 * * ? *)",
}
EXISTING = {
    "ExistingApplicationId": APPLICATION,
    "ExistingSecurityGroupId": "sg-2",
    "ExistingJobRoleArn": ROLE,
    "ExistingCodeBucket": "code-bucket",
    "ExistingLogBucket": "logs-bucket",
}
LOG_GROUPS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group"
NAMES = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "pgjobs",
    "Application": APPLICATION,
    "CodeBucket": "code-bucket",
    "CodeBucket.Arn": "arn:aws:s3:::code-bucket",
    "LogBucket": "logs-bucket",
    "LogBucket.Arn": "arn:aws:s3:::logs-bucket",
    "LogGroup.Arn": f"{LOG_GROUPS}:/aws/emr-serverless/pgjobs:*",
    "JobRole.Arn": ROLE,
    "StateMachineRole.Arn": f"{ROLE}-of-the-machine",
    "ScheduleRole.Arn": f"{ROLE}-of-the-schedule",
}


class Stack:
    """The policies of a stack."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.resources = stack(TEMPLATE, parameters, NAMES)
        self.submitter = self._document("SubmitterPolicy")
        self.job = self._inline("JobRole")
        self.machine, self.schedule = self._inline("StateMachineRole"), self._inline("ScheduleRole")
        for body in self.resources.values():
            if body["Type"] == "AWS::IAM::RolePolicy":
                assert body["Properties"]["RoleName"] == "JobRole"
                self.job += body["Properties"]["PolicyDocument"]["Statement"]
        self.buckets = [*self._document("CodeBucketPolicy"), *self._document("LogBucketPolicy")]

    def _document(self, name: str) -> list[Any]:
        properties = self.resources.get(name, {"Properties": {"PolicyDocument": {"Statement": []}}})["Properties"]
        return list(properties["PolicyDocument"]["Statement"])

    def _inline(self, name: str) -> list[Any]:
        properties = self.resources.get(name, {"Properties": {"Policies": []}})["Properties"]
        return [statement for policy in properties["Policies"] for statement in policy["PolicyDocument"]["Statement"]]

    def lets_submitter(self, request: Request) -> bool:
        return is_allowed(request, self.submitter, self.buckets)

    def lets_job(self, request: Request) -> bool:
        return is_allowed(request, self.job, self.buckets)


STACK = Stack(EVERYTHING)

SWITCHES = {
    "CreateS3Endpoint": "s3",
    "CreateSecretsManagerEndpoint": "secretsmanager",
    "CreateSsmEndpoint": "ssm",
    "CreateLogsEndpoint": "logs",
    "CreateGlueEndpoint": "glue",
}
"""Parameter -> the service that it makes an endpoint for."""
