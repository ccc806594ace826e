"""Calls of AWS, as botocore makes them, and what each of them asks of IAM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from botocore import handlers
from botocore.model import OperationModel
from iam import Request

REGION, ACCOUNT = "eu-west-1", "123456789012"
PREFIX_OF_APPLICATIONS = f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/applications/"


class Call(NamedTuple):
    """An operation of a service, with its parameters."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    """The calls of all clients that are made within the block."""
    calls: list[Call] = []

    def note(params: Mapping[str, Any], model: OperationModel, **_: object) -> None:
        calls.append(Call(model.service_model.service_name, model.name, dict(params)))

    with monkeypatch.context() as patched:
        # As moto does it: what botocore gives each of its sessions.
        patched.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, ("before-parameter-build", note)])
        yield calls


def asked(call: Call) -> list[Request]:
    """What IAM is asked about a call. A call that is not known here raises.

    https://docs.aws.amazon.com/service-authorization/latest/reference/
    """
    requests = _REQUESTS[call.service, call.operation](call.parameters)
    return [request.with_context(aws__SecureTransport="true") for request in requests]


def _object(action: str) -> Callable[[Mapping[str, Any]], list[Request]]:
    return lambda p: [Request(f"s3:{action}", f"arn:aws:s3:::{p['Bucket']}/{p['Key']}")]


def _listing(bucket: str, prefix: str) -> Request:
    return Request("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix})


def _head(p: Mapping[str, Any]) -> list[Request]:
    """Where nothing is there, S3 tells so only to those who may list the key (https://tracker.ceph.com/issues/74398)."""
    return [*_object("GetObject")(p), _listing(p["Bucket"], p["Key"])]


def _put(p: Mapping[str, Any]) -> list[Request]:
    """`s3:if-match` and `s3:if-none-match` are there where the headers are."""
    headers = {"s3:if-none-match": "IfNoneMatch", "s3:if-match": "IfMatch"}
    context = {key: p[header] for key, header in headers.items() if header in p}
    return [
        Request(request.action, request.resource, {"s3:ObjectCreationOperation": "true", **context})
        for request in _object("PutObject")(p)
    ]


def _copy(p: Mapping[str, Any]) -> list[Request]:
    return [*_object("GetObject")({**p, "Key": p["CopySource"]["Key"]}), *_put(p)]


def _application(action: str) -> Callable[[Mapping[str, Any]], list[Request]]:
    return lambda p: [Request(f"emr-serverless:{action}", PREFIX_OF_APPLICATIONS + p["applicationId"])]


def _run(action: str) -> Callable[[Mapping[str, Any]], list[Request]]:
    return lambda p: [
        Request(
            f"emr-serverless:{action}",
            f"{PREFIX_OF_APPLICATIONS}{p['applicationId']}/jobruns/{p.get('jobRunId', '00run')}",
        )
    ]


def _start(p: Mapping[str, Any]) -> list[Request]:
    """Whoever starts hands over the role, makes the tags, and must be allowed to use the key of the logs.

    https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-log-encryption.html
    """
    monitoring = p.get("configurationOverrides", {}).get("monitoringConfiguration", {})
    keys = {part["encryptionKeyArn"] for part in monitoring.values() if "encryptionKeyArn" in part}
    return [
        *_application("StartJobRun")(p),
        Request("iam:PassRole", p["executionRoleArn"], {"iam:PassedToService": "emr-serverless.amazonaws.com"}),
        *(_run("TagResource")(p) if p.get("tags") else []),
        *(Request(f"kms:{action}", key) for key in keys for action in ("GenerateDataKey", "Decrypt")),
    ]


def _kms(action: str) -> Callable[[Mapping[str, Any]], list[Request]]:
    """What a service asks of KMS in the caller's name."""
    return lambda p: [
        Request(
            f"kms:{action}", p["KeyId"], {"kms:ViaService": f"{p['via']}.{REGION}.amazonaws.com"} if p["via"] else {}
        )
    ]


def _log(action: str) -> Callable[[Mapping[str, Any]], list[Request]]:
    def requests(p: Mapping[str, Any]) -> list[Request]:
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{p.get('logGroupName', '')}"
        return [Request(f"logs:{action}", f"{group}:log-stream:{p.get('logStreamName', '')}")]

    return requests


def _catalog(p: Mapping[str, Any]) -> list[str]:
    """The catalog, and what is in it: each of them is asked for.

    https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    """
    prefix, name = f"arn:aws:glue:{REGION}:{ACCOUNT}:", p.get("DatabaseName", p.get("Name"))
    return [f"{prefix}catalog", f"{prefix}database/{name}"]


def _glue_call(action: str) -> Callable[[Mapping[str, Any]], list[Request]]:
    def requests(p: Mapping[str, Any]) -> list[Request]:
        prefix, database = f"arn:aws:glue:{REGION}:{ACCOUNT}:", p.get("DatabaseName")
        inside = {
            "GetTable": [f"{prefix}table/{database}/{p.get('Name')}"],
            "GetTables": [f"{prefix}table/{database}/any"],
            "GetUserDefinedFunctions": [f"{prefix}userDefinedFunction/{database}/any"],
        }.get(action, [f"{prefix}table/{database}/{p['TableName']}"] if "TableName" in p else [])
        return [Request(f"glue:{action}", resource) for resource in [*_catalog(p), *inside]]

    return requests


_REQUESTS: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], list[Request]]] = {
    ("s3", "HeadBucket"): lambda _: [],  # S3 tells the region whatever it decides
    ("s3", "HeadObject"): _head,
    ("s3", "GetObject"): _object("GetObject"),
    ("s3", "PutObject"): _put,
    ("s3", "CopyObject"): _copy,
    ("s3", "DeleteObject"): _object("DeleteObject"),
    ("s3", "CreateMultipartUpload"): _object("PutObject"),
    ("s3", "AbortMultipartUpload"): _object("AbortMultipartUpload"),
    ("s3", "ListObjectsV2"): lambda p: [_listing(p["Bucket"], p["Prefix"])],
    ("s3", "ListMultipartUploads"): lambda p: [Request("s3:ListBucketMultipartUploads", f"arn:aws:s3:::{p['Bucket']}")],
    ("emr-serverless", "StartJobRun"): _start,
    **{
        ("emr-serverless", action): _application(action)
        for action in ("GetApplication", "ListJobRuns", "StartApplication")
    },
    **{
        ("emr-serverless", action): _run(action)
        for action in ("GetJobRun", "ListJobRunAttempts", "CancelJobRun", "GetDashboardForJobRun")
    },
    ("secretsmanager", "GetSecretValue"): lambda p: [Request("secretsmanager:GetSecretValue", p["SecretId"])],
    ("ssm", "GetParameter"): lambda p: [
        Request("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{p['Name'].lstrip('/')}")
    ],
    ("rds", "connect"): lambda p: [
        Request("rds-db:connect", f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:{p['resource']}/{p['user']}")
    ],
    **{("kms", action): _kms(action) for action in ("Decrypt", "GenerateDataKey")},
    **{
        ("glue", action): _glue_call(action)
        for action in (
            *("GetDatabase", "GetTable", "GetTables", "GetPartition", "GetPartitions", "BatchGetPartition"),
            "GetUserDefinedFunctions",
        )
    },
    **{
        ("logs", action): _log(action)
        for action in ("DescribeLogGroups", "CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents")
    },
}
