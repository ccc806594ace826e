"""All targets that need no server."""

from __future__ import annotations

from fuzz import arguments, connections, copying, protocol
from fuzz.target import named

TARGETS = named([*connections.TARGETS, *arguments.TARGETS, *protocol.TARGETS, *copying.TARGETS])
