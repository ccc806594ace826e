"""What can go wrong on the laptop's side."""

from __future__ import annotations


class DeployError(Exception):
    """Something that a person can mend; the message says how."""
