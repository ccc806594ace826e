"""boto3's clients: one for each service, region and process, with short timeouts; and the choice of the region."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jobs.aws.errors import AwsRequest, aws_errors_translated
from jobs.errors import UsageError

CONNECT_TIMEOUT, READ_TIMEOUT = 5, 10
"""Seconds. botocore's default of 60 looks like a hang in a VPC without an endpoint; a secret takes a tenth of one."""

ATTEMPTS = 3
"""In total: about 20 seconds if nothing answers, and about 35 if only the connection succeeds."""

_ARN = re.compile(r"arn:[\w-]+:[\w-]+:([\w-]+):")


@lru_cache(maxsize=8)  # creating one takes longer than a call
def client(service: str, region: str) -> Any:  # noqa: ANN401 - boto3 generates its classes at run time
    """Return a client of boto3. It raises boto3's errors, which callers translate."""
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    config = Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries=retries)
    return boto3.session.Session().client(service, region_name=region, config=config)


def region_of_arn(name: str) -> str:
    """Return the region that an ARN names; empty for a plain name."""
    arn = _ARN.match(name)
    return arn[1] if arn else ""


def find_region(named: str, environ: Mapping[str, str]) -> str:
    """Return the region: as given, else from the environment, else from AWS's config file.

    The driver determines it, because a worker's environment may lack it.

    Raises:
        UsageError: No source states it.
    """
    region = named or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or _configured_region()
    if not region:
        raise UsageError("There is no AWS region.", "Give --aws-region, or set AWS_REGION.")
    return region


def _configured_region() -> str:
    with aws_errors_translated(AwsRequest("AWS's config file cannot be used", "", "", "")):
        import boto3

        return boto3.session.Session().region_name or ""
