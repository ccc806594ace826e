"""Servers from npm's packages."""

from __future__ import annotations

from matrix import servers


def test_links_of_npms_packages_lead_to_the_file_beside_them() -> None:
    listed = [{"source": "native/lib/libpq.so.5.18", "target": "native/lib/libpq.so.5"}]
    assert servers.links(listed) == {"lib/libpq.so.5": "libpq.so.5.18"}
