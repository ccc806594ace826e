"""The modes of a job run. Parsing flags needs them, and nothing else of a request."""

from __future__ import annotations

MODES = ("batch", "streaming")
