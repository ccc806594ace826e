"""The error that ends the trials. Their findings are not errors of this kind."""

from __future__ import annotations


class ChaosError(Exception):
    """The trials cannot continue."""
