"""A worker's logs in S3: which objects are read, and what happens when they change under the reader's hands."""

from __future__ import annotations

from dataclasses import replace

import boto3
from botocore.stub import Stubber
from emr_runs import LOG_FOLDER, REGION, Client, job_run, put_log

from pgjobs.runs.logs import WorkerLogs
from pgjobs.runs.run import read_run

RUN = read_run(job_run("RUNNING"))
STDOUT = f"{LOG_FOLDER}/SPARK_DRIVER/stdout.gz"


def test_the_first_attempt_may_have_no_folder_of_its_own_and_later_ones_always_have(s3: Client) -> None:
    put_log(s3, "SPARK_DRIVER/stdout", "first\n")
    assert WorkerLogs(s3, RUN, 1).read()["stdout"] == "first\n"
    assert WorkerLogs(s3, RUN, 2).read()["stdout"] == ""
    put_log(s3, "attempts/2/SPARK_DRIVER/stdout", "second\n")
    assert WorkerLogs(s3, RUN, 2).read()["stdout"] == "second\n"


def test_logs_at_the_root_of_a_bucket_are_found(s3: Client) -> None:
    s3.put_object(Bucket="code-bucket", Key=STDOUT.partition("/")[2], Body=b"")
    put_log(s3, "SPARK_DRIVER/stdout", "one\n")
    s3.copy_object(Bucket="code-bucket", Key=STDOUT.partition("/")[2], CopySource=f"logs-bucket/{STDOUT}")
    assert WorkerLogs(s3, replace(RUN, log_uri="s3://code-bucket"), 1).read()["stdout"] == "one\n"


def test_a_log_that_was_rewritten_after_it_was_listed_is_read_the_next_time() -> None:
    client = boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    stubber.activate()
    stubber.add_response("list_objects_v2", {})
    stubber.add_response("list_objects_v2", {"Contents": [{"Key": STDOUT, "ETag": '"1"'}]})
    asked = {"Bucket": "logs-bucket", "Key": STDOUT, "IfMatch": '"1"'}
    stubber.add_client_error("get_object", "PreconditionFailed", http_status_code=412, expected_params=asked)
    assert WorkerLogs(client, RUN, 1).read() == {"stdout": "", "stderr": ""}
    stubber.assert_no_pending_responses()


def test_what_is_no_gz_is_not_shown_and_no_error(s3: Client) -> None:
    s3.put_object(Bucket="logs-bucket", Key=STDOUT, Body=b"not gz")
    put_log(s3, "SPARK_DRIVER/stderr", "one\n")
    assert WorkerLogs(s3, RUN, 1).read() == {"stdout": "", "stderr": "one\n"}


def test_a_log_that_did_not_change_is_not_read_again(s3: Client) -> None:
    put_log(s3, "SPARK_DRIVER/stdout", "one\n")
    read = list[str]()
    s3.meta.events.register("before-call.s3.GetObject", lambda **_: read.append("once"))
    logs = WorkerLogs(s3, RUN, 1)
    assert [logs.read()["stdout"], logs.read()["stdout"]] == ["one\n", ""]
    assert read == ["once"]
