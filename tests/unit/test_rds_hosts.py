"""Which hosts are of RDS, and the region that their names state."""

from __future__ import annotations

import pytest

from jobs.dbaccess.conninfo.rds_hosts import is_rds, region_of_host


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("shop.abc123.eu-west-1.rds.amazonaws.com", "eu-west-1"),
        ("shop.cluster-abc.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"),
        ("shop.proxy-abc.ap-southeast-2.rds.amazonaws.com", "ap-southeast-2"),
        ("shop.abc.cn-north-1.rds.amazonaws.com.cn", "cn-north-1"),
        ("SHOP.ABC.EU-WEST-1.RDS.AMAZONAWS.COM", "eu-west-1"),
    ],
)
def test_a_host_of_rds_states_its_region(host: str, region: str) -> None:
    assert is_rds(host)
    assert region_of_host(host) == region


@pytest.mark.parametrize("host", ["shop.abc.eu-west-1.rds.amazonaws.com.example.com", "rds.amazonaws.com", "localhost"])
def test_another_host_is_none_of_rds(host: str) -> None:
    assert not is_rds(host)
    assert not region_of_host(host)
