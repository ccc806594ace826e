"""What ends the trials themselves; what they find is no error of theirs."""

from __future__ import annotations


class ChaosError(Exception):
    """The trials cannot go on."""
