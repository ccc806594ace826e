"""The words of known failures get the hint that helps, and no other."""

from __future__ import annotations

import pytest

from pgjobs.runs.hints import CAUSES, hints

JAVA = 'java.io.IOException: Cannot run program "./environment/bin/python": '


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("error: No server answers at db:5432: timed out.", "The database cannot be reached"),
        (
            "botocore.exceptions.ConnectTimeoutError: Connect timeout on endpoint URL: https://secretsmanager",
            "endpoint",
        ),
        ("error: No server answers at db:5432: Connection refused.", "check host and port"),
        ("error: There is no host db.example.com.", "does not resolve"),
        (JAVA + "error=2, No such file or directory", "not on this release's image"),
        (JAVA + "error=13, Permission denied", "not executable"),
        ("PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different version", "different Pythons"),
        ("ModuleNotFoundError: No module named 'jobs'", "for another Python than"),
        ("ModuleNotFoundError: No module named 'shapely'", "--with PACKAGE"),
        ("ImportError: /lib64/libc.so.6: version `GLIBC_2.38' not found", "for another system"),
        ("AmazonS3Exception: Access Denied (Service: Amazon S3; Status Code: 403)", "s3:GetObject"),
        ("not authorized to perform: secretsmanager:GetSecretValue on resource", "may not read the secret"),
        ("not authorized to perform: kms:Decrypt on this resource", "may not use the key"),
        ("PAM authentication failed for user loader", "rds-db:connect"),
        ("User is not authorized to perform: ssm:GetParameter", "ssm:GetParameter"),
        ("is not authorized to perform: iam:PassRole on resource", "must trust"),
        ("Job failed: vCPU quota exceeded for the account", "Not enough vCPU"),
        ("ValidationException: memory + memoryOverhead exceeds the maximum", "Worker sizes are"),
        ("java.lang.OutOfMemoryError: Java heap space", "ran out of memory"),
        ("OSError: No space left on device", "disk is full"),
        ("java.lang.ClassNotFoundException: org.postgresql.Driver", "pgjobs needs none"),
        ("java.lang.ClassNotFoundException: org.apache.iceberg.X", "jar is missing"),
        ('password authentication failed for user "loader" (SQLSTATE 28P01).', "rejected the login"),
        ("no pg_hba.conf entry for host 10.0.0.1", "not without TLS"),
        ("TLS with db:5432 failed: certificate verify failed", "--sslrootcert"),
        ("remaining connection slots are reserved", "--parallelism"),
        ("Application 00app is stopped", "start it"),
    ],
)
def test_a_known_failure_gets_its_hint_alone(words: str, hint: str) -> None:
    [told] = hints(f"INFO something before\n{words}\nINFO something after")
    assert hint in told


def test_every_cause_has_been_tried() -> None:
    [mark] = [mark for mark in test_a_known_failure_gets_its_hint_alone.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]  # pytest adds it
    tried = {hint for words, _ in mark.args[1] for hint in hints(words)}
    assert tried == {cause.hint for cause in CAUSES}


def test_an_unknown_failure_gets_none() -> None:
    assert hints("error: the load has 3 parts, and 2 claims") == []


def test_what_spark_reports_at_each_start_is_no_failure() -> None:
    starts = "26/11/22 18:45:06 INFO ResourceProfile: Default ResourceProfile created, executor resources: Map"
    assert (
        hints(f"{starts}(memoryOverhead -> name: memoryOverhead, amount: 400)\nerror: the table has no column x") == []
    )
