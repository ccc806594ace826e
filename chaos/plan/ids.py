"""The ids of a trial's rows: those of the load, those that are there before, and those to which something happens."""

from __future__ import annotations

ROWS = 12_000
"""Rows of a load's input."""

ONE_BAD_IN = 500
"""Of so many rows of the input, a load with bad rows has one more."""

UNTOUCHED = ROWS * 4 // 3
"""The lowest id of a partition into which no load brings rows."""

OVERLAP = 500
"""Rows that a table has before a load. In modes with keys, it has as many again with keys of loaded rows."""

LEAVES_WINDOW = ROWS + OVERLAP - 1
"""The id that a script deletes before the rows of a load are moved."""

DELETED = 7
"""Of so many rows of a load, the second says that its key is deleted."""

LEFT_OUT = 0
"""The id that a script deletes afterwards."""
