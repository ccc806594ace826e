"""Hosts of RDS and Aurora: how to recognize their names, and the AWS region in a name."""

from __future__ import annotations

import re

_SUFFIX = r"\.rds\.amazonaws\.com(?:\.cn)?"
_HOST = re.compile(rf".*{_SUFFIX}", re.IGNORECASE | re.DOTALL)
_HOST_WITH_REGION = re.compile(rf".*\.([a-z]+(?:-[a-z]+)+-\d+){_SUFFIX}", re.IGNORECASE | re.DOTALL)


def is_rds(host: str) -> bool:
    """Return whether a host belongs to RDS or Aurora. Systems do not trust their certificate authorities, Amazon's."""
    return _HOST.fullmatch(host) is not None


def region_of_host(host: str) -> str:
    """Return the AWS region in a host's name; empty if the host does not belong to RDS or Aurora."""
    match = _HOST_WITH_REGION.fullmatch(host)
    return match[1].lower() if match else ""
