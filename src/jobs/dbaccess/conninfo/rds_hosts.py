"""Hosts of RDS and Aurora: which names are theirs, and the AWS region that such a name states."""

from __future__ import annotations

import re

_SUFFIX = r"\.rds\.amazonaws\.com(?:\.cn)?"
_HOST = re.compile(rf".*{_SUFFIX}", re.IGNORECASE | re.DOTALL)
_HOST_WITH_REGION = re.compile(rf".*\.([a-z]+(?:-[a-z]+)+-\d+){_SUFFIX}", re.IGNORECASE | re.DOTALL)


def is_rds(host: str) -> bool:
    """Whether a host is one of RDS or Aurora. Their certificate authorities are Amazon's, and in no system."""
    return _HOST.fullmatch(host) is not None


def region_of_host(host: str) -> str:
    """The AWS region in a host's name; empty for a host that is not one of RDS or Aurora."""
    match = _HOST_WITH_REGION.fullmatch(host)
    return match[1].lower() if match else ""
