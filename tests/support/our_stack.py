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
}


class Stack:
    """The policies of a stack."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.resources = stack(TEMPLATE, parameters, NAMES)
        self.submitter = self._document("SubmitterPolicy")
        [inline] = self.resources["JobRole"]["Properties"]["Policies"]
        self.job = list(inline["PolicyDocument"]["Statement"])
        for body in self.resources.values():
            if body["Type"] == "AWS::IAM::RolePolicy":
                assert body["Properties"]["RoleName"] == "JobRole"
                self.job += body["Properties"]["PolicyDocument"]["Statement"]
        self.buckets = [*self._document("CodeBucketPolicy"), *self._document("LogBucketPolicy")]

    def _document(self, name: str) -> list[Any]:
        return list(self.resources[name]["Properties"]["PolicyDocument"]["Statement"])

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
}
"""Parameter -> the service that it makes an endpoint for."""
