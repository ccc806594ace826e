"""Posts events to a server of lineage, beside the job: a server that is down or slow costs it a warning, and no time.

Only the standard library is used, since the archive is to hold nothing more for it.
"""

from __future__ import annotations

import json
import logging
import queue
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from jobs.dbaccess.errors import UsageError

KEY = "OPENLINEAGE_API_KEY"
"""The variable with the key, which is sent as a bearer token."""

PATH = "/api/v1/lineage"
"""Where a server takes events, if the URL has no path of its own. It is that of OpenLineage's own clients."""

PATIENCE = 5.0
"""Seconds for each answer, and for all events that are still to be sent when the job ends."""

logger = logging.getLogger(__name__)


def endpoint(url: str) -> str:
    """Return the URL that takes events.

    Raises:
        UsageError: It is not an HTTP URL, or holds a password.
    """
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        is_http = False
    if not is_http:
        raise UsageError("--lineage-url is not an HTTP URL.", "Write https://host:port.")
    if "@" in parts.netloc:
        raise UsageError("--lineage-url holds a user or a password.", f"Set {KEY} instead.")
    path = PATH if parts.path in ("", "/") else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


class Sender:
    """Posts events in their order, in a thread of its own.

    Args:
        url: The endpoint.
        key: The key; empty for none.
        patience: Seconds, as PATIENCE.
    """

    def __init__(self, url: str, key: str = "", patience: float = PATIENCE) -> None:
        self._url = url
        self._shown = url.partition("?")[0]  # a query may hold a key
        self._key = key.strip()
        self._patience = patience
        self._events: queue.Queue[Mapping[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._post_all, name="lineage", daemon=True)
        self._current = ""
        self._deadline: float | None = None
        place = urlsplit(url)
        if self._key and place.scheme == "http" and place.hostname not in _LOCAL:
            logger.warning("%s is sent without TLS to %s.", KEY, self._shown)

    def send(self, event: Mapping[str, Any]) -> None:
        """Have an event sent."""
        if not self._thread.is_alive():
            self._thread.start()
        self._events.put(event)

    def finish(self) -> None:
        """Wait until all events are sent, for a limited time."""
        self._deadline = time.monotonic() + self._patience
        if not self._thread.is_alive():
            return
        self._events.put(None)
        self._thread.join(self._patience)
        if self._thread.is_alive():
            self._warn(self._current, f"no answer in {self._patience:g} s")

    def _post_all(self) -> None:
        opener = build_opener(_NoRedirect, HTTPSHandler(context=ssl.create_default_context()))
        while (event := self._events.get()) is not None:
            self._current = event["eventType"]
            try:
                self._post(opener, event)
            except Exception as error:  # noqa: BLE001 - whatever a server may do
                if self._deadline is None or time.monotonic() < self._deadline:  # after it, the job has said so
                    self._warn(self._current, self._reason(error))

    def _post(self, opener: OpenerDirector, event: Mapping[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "pgjobs"}
        request = Request(self._url, json.dumps(event).encode(), headers, method="POST")  # noqa: S310 - `endpoint` has checked the scheme
        if self._key:
            request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        with opener.open(request, timeout=self._patience) as answer:
            answer.read(_SOME)

    def _warn(self, kind: str, reason: str) -> None:
        logger.warning("The lineage event %s was not sent to %s: %s. The job goes on.", kind, self._shown, reason)

    def _reason(self, error: Exception) -> str:
        """Return why an event was not sent, without what was sent: an error of a header shows the key."""
        if isinstance(error, HTTPError):
            error.close()
            return f"it answered {error.code}"
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, TimeoutError):
            return f"no answer in {self._patience:g} s"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        return type(cause).__name__


_LOCAL = ("localhost", "127.0.0.1", "::1")

_SOME = 65536
"""Bytes of an answer, which is empty, to read at most."""


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirect, which would turn a POST into a GET, and be answered by whomever it names."""

    def redirect_request(self, *_: object) -> None:  # of what it is given, nothing matters
        """Return no request, so that the answer is an error."""
