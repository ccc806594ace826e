"""The name under which pip knows pgjobs."""

from __future__ import annotations

DISTRIBUTION = "pgjobs-spark"
"""The index of packages has another project that is called pgjobs: with that name, pip would install it instead."""
