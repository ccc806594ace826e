"""Times and rates with their units, as flags state them."""

from __future__ import annotations

import argparse
import re

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB)(?:/s)?")
_BYTES = {"kB": 1e3, "MB": 1e6, "GB": 1e9}


def duration(text: str) -> float:
    """Parse a time such as 10s, 500ms or 2min, for argparse. Return seconds."""
    parsed = _TIME.fullmatch(text)
    if parsed is None or not float(parsed[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time above 0, such as 10s, 500ms or 2min")
    return float(parsed[1]) * _SECONDS[parsed[2]]


def byte_rate(text: str) -> float:
    """Parse a rate such as 50MB/s, for argparse. Return bytes per second."""
    parsed = _RATE.fullmatch(text)
    if parsed is None or not float(parsed[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate above 0, such as 50MB/s or 800kB/s")
    return float(parsed[1]) * _BYTES[parsed[2]]
