"""What EMR and Spark's S3A call in the job's name, by their documentation: neither runs on this machine."""

from __future__ import annotations

from aws_calls import Call
from emr_runs import APPLICATION, RUN
from our_stack import key


def s3_call(operation: str, bucket: str, name: str, **more: object) -> Call:
    return Call("s3", operation, {"Bucket": bucket, "Key": name, **more})


def listing(bucket: str, prefix: str) -> Call:
    return Call("s3", "ListObjectsV2", {"Bucket": bucket, "Prefix": prefix})


def kms(name: str, *actions: str, via: str = "s3") -> list[Call]:
    return [Call("kms", action, {"KeyId": key(name), "via": via}) for action in actions]


# EMR fetches the archive and the script. https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/logging.html
CODE = "code/releases/0123/pyspark_venv.tar.gz"
LOGS = f"logs/applications/{APPLICATION}/jobs/{RUN}/SPARK_DRIVER/stderr.gz"
OF_EMR = [
    s3_call("HeadObject", "code-bucket", CODE),
    s3_call("GetObject", "code-bucket", CODE),
    s3_call("PutObject", "logs-bucket", LOGS),
    *kms("logs", "GenerateDataKey", "Decrypt", via=""),
    Call("logs", "DescribeLogGroups", {}),
    Call("logs", "CreateLogGroup", {"logGroupName": "/aws/emr-serverless"}),
    *(
        Call("logs", operation, {"logGroupName": group, "logStreamName": f"/applications/{APPLICATION}/jobs/{RUN}/x"})
        for group in ("/aws/emr-serverless", "/aws/emr-serverless/pgjobs")
        for operation in ("CreateLogStream", "DescribeLogStreams", "PutLogEvents")
    ),
]

# S3A reads s3://data/orders/: is it an object, is it a folder, what is in it? Then it opens what it found.
READ = "orders/day=1/part-0.parquet"
OF_LOADS = [
    s3_call("HeadObject", "data", "orders"),
    listing("data", "orders/"),
    s3_call("HeadObject", "data", READ),
    s3_call("GetObject", "data", READ),
    *kms("data", "Decrypt"),
]

# S3A writes s3://lake/out/orders/: it makes folders, writes files in parts, and commits by renaming or by uploads.
TEMPORARY, WRITTEN = "out/orders/_temporary/0/part-0.parquet", "out/orders/part-0.parquet"
OF_EXTRACTS = [
    s3_call("HeadObject", "lake", "out/orders"),
    listing("lake", "out/orders/"),
    s3_call("PutObject", "lake", "out/orders/_temporary/0/"),
    s3_call("CreateMultipartUpload", "lake", TEMPORARY),
    s3_call("AbortMultipartUpload", "lake", TEMPORARY),
    Call("s3", "ListMultipartUploads", {"Bucket": "lake", "Prefix": "out/orders/"}),
    s3_call("CopyObject", "lake", WRITTEN, CopySource={"Bucket": "lake", "Key": TEMPORARY}),
    s3_call("DeleteObject", "lake", TEMPORARY),
    # Older releases remove a folder's own key when there is something in it.
    s3_call("DeleteObject", "lake", "out/orders"),
    s3_call("PutObject", "lake", "out/orders"),
    s3_call("AbortMultipartUpload", "lake", "out/orders"),
    s3_call("GetObject", "lake", WRITTEN),
    *kms("lake", "GenerateDataKey", "Decrypt"),
]

# Spark's catalog in Glue, for SELECT ... FROM lake.orders.
IN_LAKE = {"DatabaseName": "lake", "TableName": "orders"}
OF_GLUE = [
    *(Call("glue", "GetDatabase", {"Name": name}) for name in ("default", "lake")),
    Call("glue", "GetTable", {"DatabaseName": "lake", "Name": "orders"}),
    Call("glue", "GetTables", {"DatabaseName": "lake"}),
    *(Call("glue", operation, IN_LAKE) for operation in ("GetPartition", "GetPartitions", "BatchGetPartition")),
    *(Call("glue", "GetUserDefinedFunctions", {"DatabaseName": name}) for name in ("default", "lake")),
]
OF_SPARK = [*OF_EMR, *OF_LOADS, *OF_EXTRACTS, *OF_GLUE]
