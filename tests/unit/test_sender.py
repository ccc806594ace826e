"""Events reach a real server, and one that is down, slow or hostile costs a job a warning."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trustme
from lineage_server import LineageServer, lineage_server

from jobs.dbaccess.errors import UsageError
from jobs.lineage.sender import Sender, endpoint

KEY = "word-that-is-secret"


@pytest.fixture
def server() -> Iterator[LineageServer]:
    with lineage_server() as running:
        yield running


def sent(url: str, key: str = KEY, patience: float = 120.0, kinds: Sequence[str] = ("START", "COMPLETE")) -> float:
    """Send a START and a COMPLETE. Return the seconds that the end of the job waits."""
    sender = Sender(endpoint(url), key, patience)
    for kind in kinds:
        sender.send({"eventType": kind, "name": "ä"})
    began = time.monotonic()
    sender.finish()
    return time.monotonic() - began


def test_events_come_in_their_order_with_the_key(server: LineageServer, caplog: pytest.LogCaptureFixture) -> None:
    sent(server.url)
    assert server.events == [{"eventType": kind, "name": "ä"} for kind in ("START", "COMPLETE")]
    assert server.paths == ["/api/v1/lineage"] * 2
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert {headers["Content-Type"] for headers in server.headers} == {"application/json"}
    assert caplog.messages == []


def test_without_a_key_there_is_no_such_header_and_a_path_is_kept(server: LineageServer) -> None:
    sent(f"{server.url}/lineage?code=1", key="")
    assert server.paths == ["/lineage?code=1"] * 2
    assert not any("Authorization" in headers for headers in server.headers)


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_refusal_is_a_warning(server: LineageServer, status: int, caplog: pytest.LogCaptureFixture) -> None:
    server.status = status
    sent(f"{server.url}/a?code=hidden")
    assert caplog.messages == [
        f"The lineage event {kind} was not sent to {server.url}/a: it answered {status}. The job goes on."
        for kind in ("START", "COMPLETE")
    ]


def test_a_redirect_is_not_followed(server: LineageServer, caplog: pytest.LogCaptureFixture) -> None:
    with lineage_server() as elsewhere:
        server.status, server.location = 302, elsewhere.url
        sent(server.url)
        assert elsewhere.events == []
    assert "it answered 302" in caplog.text


def test_a_server_that_is_down_is_named_once_for_each_event(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as bound:  # but it does not listen
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        sent(f"http://127.0.0.1:{port}")
    assert caplog.messages == [
        f"The lineage event {kind} was not sent to http://127.0.0.1:{port}/api/v1/lineage: Connection refused. "
        "The job goes on."
        for kind in ("START", "COMPLETE")
    ]


def test_a_server_that_does_not_answer_delays_the_end_by_a_limited_time(
    server: LineageServer, caplog: pytest.LogCaptureFixture
) -> None:
    """That is for all events together: for each alone, it would be ten minutes."""
    server.released.clear()
    assert sent(server.url, patience=0.3, kinds=["RUNNING"] * 2000) < 120
    assert f"was not sent to {server.url}/api/v1/lineage: no answer in 0.3 s" in caplog.text


def test_a_key_that_cannot_be_a_header_is_not_shown(server: LineageServer, caplog: pytest.LogCaptureFixture) -> None:
    sent(server.url, key=f"{KEY}\r\nX-Other: 1")
    assert server.events == []
    assert "was not sent" in caplog.text
    assert KEY not in caplog.text


def test_a_key_that_is_to_be_sent_without_tls_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for url in ("http://lineage.example.com", "https://lineage.example.com", "http://localhost"):
        Sender(endpoint(url), KEY)
    assert caplog.messages == ["OPENLINEAGE_API_KEY is sent without TLS to http://lineage.example.com/api/v1/lineage."]


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_certificate_is_checked(
    is_trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted = authority if is_trusted else trustme.CA()
    trusted.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    with lineage_server(context) as server:
        sent(server.url)
        assert [event["eventType"] for event in server.events] == (["START", "COMPLETE"] if is_trusted else [])
    assert ("its certificate is not trusted" in caplog.text) is not is_trusted


@pytest.mark.parametrize(
    "url", ["", "lineage", "ftp://host", "file:///etc/passwd", "https://", "http://host:x", "http://host:99999"]
)
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is not an HTTP URL"):
        endpoint(url)


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError, match="Set OPENLINEAGE_API_KEY instead") as refused:
        endpoint(f"https://me:{KEY}@host")
    assert KEY not in str(refused.value)


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
