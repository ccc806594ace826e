"""boto3's clients: one for each service, region and process, and impatient. Which region is meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jobs.aws.errors import Wish, aws_errors_translated
from jobs.errors import UsageError

CONNECT_TIMEOUT, READ_TIMEOUT = 5, 10
"""Seconds. botocore's own 60 look like a hang where a VPC has no endpoint; a secret comes in a tenth of one."""

ATTEMPTS = 3
"""All in all: where nothing answers, that is told after some 20 seconds, and after some 35 where it only connects."""

_ARN = re.compile(r"arn:[\w-]+:[\w-]+:([\w-]+):")


@lru_cache(maxsize=8)  # to make one takes longer than to ask it
def client(service: str, region: str) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    """A client of boto3, under its own errors: callers translate them."""
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    config = Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries=retries)
    return boto3.session.Session().client(service, region_name=region, config=config)


def region_of_arn(name: str) -> str:
    """The region that an ARN names; empty for a plain name."""
    arn = _ARN.match(name)
    return arn[1] if arn else ""


def find_region(named: str, environ: Mapping[str, str]) -> str:
    """The region: as it is named, else as the environment has it, else as AWS's config file does.

    Settled on the driver: a worker's environment may lack what the driver's has.

    Raises:
        UsageError: nothing states it.
    """
    region = named or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or _configured_region()
    if not region:
        raise UsageError("There is no AWS region.", "Give --aws-region, or set AWS_REGION.")
    return region


def _configured_region() -> str:
    with aws_errors_translated(Wish("AWS's config file cannot be used", "", "", "")):
        import boto3

        return boto3.session.Session().region_name or ""
