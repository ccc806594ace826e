"""Known causes of failures, recognized by the words in their messages, as one table."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """A known cause.

    Attributes:
        words: A pattern, in any case and on one line, of what EMR, Spark, Python, botocore or PostgreSQL print.
        hint: What to do.
    """

    words: str
    hint: str


# In the order of output.
CAUSES = (
    Cause(
        r"time-?out on endpoint URL|Could not connect to the endpoint URL",
        "The named AWS service cannot be reached: the VPC needs an endpoint for it, or NAT. An endpoint needs a "
        "security group that admits port 443.",
    ),
    Cause(
        r"No server answers at .*timed out|connect(ion)? timed out|No route to host|Network is unreachable",
        "The database cannot be reached: the application needs subnets of its VPC, and the database's security group "
        "must admit port 5432 from the application's. Without a VPC, EMR Serverless cannot reach RDS.",
    ),
    Cause(
        r"No server answers at .*refused|Connection refused",
        "No PostgreSQL listens at that address: check host and port, and that the server is running.",
    ),
    Cause(
        r"There is no host |Name or service not known|could not translate host name|UnknownHostException",
        "The database's name does not resolve: check it, and that the VPC has DNS (enableDnsSupport).",
    ),
    Cause(
        r'Cannot run program "\./environment/bin/python".*(error=2\b|No such file)',
        "The archive's interpreter is not on this release's image: pack the archive for the application's release "
        "(pgjobs package --release ...), or include one (--self-contained).",
    ),
    Cause(
        r'Cannot run program "\./environment/bin/python".*(error=13\b|Permission denied)',
        "The archive's interpreter is not executable: pack it with `pgjobs package`; other tools lose the exec bit.",
    ),
    Cause(
        r"Python in worker has different version|PYTHON_VERSION_MISMATCH",
        "Driver and executors run different Pythons: leave PYSPARK_PYTHON alone; submit sets it for both.",
    ),
    Cause(
        r"No module named '?(jobs|pg8000|scramp|asn1crypto)\b",
        "The archive is for another Python than the image's: pack it for the application's release, and check it "
        "with `pgjobs verify FILE --release ...`.",
    ),
    Cause(
        r"No module named (?!'?(jobs|pg8000|scramp|asn1crypto)\b)",
        "The archive lacks a package: add it with --with PACKAGE.",
    ),
    Cause(
        r"GLIBC_[\d.]+'? not found|wrong ELF class|cannot open shared object file|invalid ELF header",
        "A compiled package is for another system: pack for the application's release and architecture (--arch).",
    ),
    Cause(
        r"(AmazonS3Exception|S3Exception|s3a?://|\bS3\b).*(Access ?Denied|403|Forbidden)|"
        r"(Access ?Denied|403|Forbidden).*(\bs3\b|s3a?://)|s3:(GetObject|PutObject|ListBucket)",
        "S3 denies access to the job: grant the execution role s3:GetObject and s3:ListBucket on code and data, and "
        "s3:PutObject on the logs.",
    ),
    Cause(
        r"secretsmanager:\w+|AccessDenied\w* .*GetSecretValue",
        "The execution role may not read the secret: grant it secretsmanager:GetSecretValue on it, and kms:Decrypt on "
        "its key.",
    ),
    Cause(r"kms:\w+|KMS.*AccessDenied", "The execution role may not use the key: grant it kms:Decrypt on it."),
    Cause(
        r"rds-db:connect|PAM authentication failed",
        "The database rejected the token: grant the role rds-db:connect on this database user, and the user rds_iam.",
    ),
    Cause(r"ssm:\w+", "The execution role may not read the parameter: grant it ssm:GetParameter on it."),
    Cause(
        r"sts:AssumeRole|not authorized to perform: iam:PassRole|unable to assume",
        "Check --role: it must trust emr-serverless.amazonaws.com, and the submitter needs iam:PassRole on it.",
    ),
    Cause(
        r"vCPU|maximum ?capacity|ServiceQuota|exceeded .*(quota|limit)",
        "Not enough vCPU: the account's quota (new accounts have 16, which Spark's defaults use up: 4 + 3 x 4) or the "
        "application's maximum capacity. Request more, or use less: --conf spark.executor.instances=1.",
    ),
    Cause(
        r"memory ?overhead|worker (size|configuration)|(memory|disk|cores?) .*(not supported|invalid|exceeds)",
        "Worker sizes are 1, 2, 4, 8 or 16 cores with 2-8, 4-16, 8-30, 16-60 or 32-120 GB, and memory includes "
        "an overhead of 10 %: 54g is the maximum for 8 cores.",
    ),
    Cause(
        r"OutOfMemoryError|exit(ed)? (code|status) ?:?=? ?137|Container killed",
        "A worker ran out of memory: raise spark.executor.memory or spark.driver.memory by --conf.",
    ),
    Cause(r"No space left on device", "A worker's disk is full: --conf spark.emr-serverless.executor.disk=100g."),
    Cause(
        r"ClassNotFoundException: org\.postgresql",
        "The image has no JDBC driver. pgjobs needs none; for other code, add one with --conf spark.jars=s3://...",
    ),
    Cause(
        r"ClassNotFoundException: (?!org\.postgresql)",
        "A jar is missing: --conf spark.jars=s3://..., for the release's Scala version.",
    ),
    Cause(
        r"password authentication failed|SQLSTATE 28P01|No password was given",
        "The database rejected the login: check the user, and the source of the password.",
    ),
    Cause(r"no pg_hba\.conf entry", "The database does not accept this user from there, or not without TLS (sslmode)."),
    Cause(
        r"certificate verify failed|TLS with .* failed|SSL error|Hostname mismatch",
        "TLS failed: use the host name in the certificate, and --sslrootcert for a private certificate authority.",
    ),
    Cause(r"remaining connection slots|too many (clients|connections)", "No connection is free: lower --parallelism."),
    Cause(
        r"Application .*(is stopped|not started)",
        "The application is stopped: start it, or let it start automatically (autoStartConfiguration).",
    ),
)


_NO_FAILURE = re.compile(r"^(\S+ \S+ )?(INFO|DEBUG) .*$", re.MULTILINE)
"""A line of a log, with or without its time, that reports no failure. Spark reports `memoryOverhead` at each start."""


def hints(text: str) -> list[str]:
    """Return the hints for every cause that occurs in the words of a failure."""
    said = _NO_FAILURE.sub("", text)
    return [cause.hint for cause in CAUSES if re.search(cause.words, said, re.IGNORECASE)]
