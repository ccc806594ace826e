"""The server's URL and port."""

from __future__ import annotations

import socket

import pytest

from servermgr import address


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "postgresql://postgres@127.0.0.1:15432/db"),
        ("0.0.0.0", "postgresql://postgres@127.0.0.1:15432/db"),  # noqa: S104 - not bound
        ("", "postgresql://postgres@127.0.0.1:15432/db"),
        ("::1", "postgresql://postgres@[::1]:15432/db"),
        ("localhost,10.0.0.7", "postgresql://postgres@localhost:15432/db"),
    ],
)
def test_url_is_one_that_clients_of_this_machine_can_use(host: str, url: str) -> None:
    assert address.url("postgres", host, 15432, "db") == url


def test_url_quotes_names() -> None:
    assert address.url("a b", "127.0.0.1", 1, "c/d") == "postgresql://a%20b@127.0.0.1:1/c%2Fd"


def test_free_port_can_be_bound() -> None:
    with socket.create_server(("127.0.0.1", address.free_port("127.0.0.1"))):
        pass


def test_an_interface_that_this_machine_does_not_have_is_named() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1 is no interface of this machine"):  # an address for documentation
        address.free_port("192.0.2.1")
