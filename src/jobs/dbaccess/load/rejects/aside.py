"""Rejects of an attempt: they are gathered, and written to staging some at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from jobs.dbaccess.copy_text import COPY_ESCAPES, NULL
from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.load.rejects.savepoints import Savepoints
from jobs.dbaccess.sql import TableName, quote_names
from jobs.dbaccess.sqlstates import NOT_UTF8, UNTRANSLATABLE

FLUSHED, LARGEST_FLUSHED = 1000, 4 << 20
"""How many rejects a task keeps before it writes them to staging, and how many bytes of them."""

COLUMNS = ("part", "attempt", "part_row", "file", "file_row", "column_name", "sqlstate", "reason", "message", "row")
"""The columns of rejects in staging. A mark has a part and an attempt alone."""

_Reject = tuple[Sequence[object], Mapping[str, Optional[str]]]
"""The values of a reject in staging, all but the last; and its row."""


class Aside:
    """Rejects, which are written to a table of staging."""

    def __init__(self, rejects: TableName, savepoints: Savepoints) -> None:
        self._rejects, self._savepoints = rejects, savepoints
        self._waiting: list[_Reject] = []
        self._waiting_bytes = 0

    def put(self, about: Sequence[object], row: Mapping[str, str | None], size: int) -> None:
        """Take a reject. If there are many, they are written.

        Args:
            about: The values of COLUMNS, all but the last.
            row: The last.
            size: The size of the line, in bytes.
        """
        self._waiting.append((about, row))
        self._waiting_bytes += size
        if len(self._waiting) >= FLUSHED or self._waiting_bytes >= LARGEST_FLUSHED:
            self.flush()

    def flush(self) -> None:
        """Write the rejects to staging."""
        if self._waiting:
            self._write(self._waiting)
        self._waiting, self._waiting_bytes = [], 0

    def _write(self, rejects: Sequence[_Reject]) -> None:
        """Write rejects. In a row with characters that the database's encoding lacks, those are written as escapes."""
        try:
            self._copy(rejects)
        except DatabaseError as error:
            if error.sqlstate not in (NOT_UTF8, UNTRANSLATABLE):
                raise
            if len(rejects) == 1:
                self._copy(rejects, ascii_only=True)
                return
            middle = len(rejects) // 2
            self._write(rejects[:middle])
            self._write(rejects[middle:])

    def _copy(self, rejects: Sequence[_Reject], *, ascii_only: bool = False) -> None:
        lines = b"".join(_copy_line([*about, _as_json(row, ascii_only=ascii_only)]) for about, row in rejects)
        self._savepoints.copy(f"COPY {self._rejects.quoted} ({quote_names(COLUMNS)}) FROM STDIN", lines)


def _as_json(values: Mapping[str, str | None], *, ascii_only: bool) -> str:
    """Return the row as jsonb can store it: it has no NUL, nor what the database's encoding lacks."""

    def storable(value: str) -> str:
        value = value.replace("\0", "\ufffd")
        return value.encode("ascii", "backslashreplace").decode() if ascii_only else value

    row = {name: None if value is None else storable(value) for name, value in values.items()}
    return json.dumps(row, ensure_ascii=False)


def _copy_line(values: Iterable[object]) -> bytes:
    return "\t".join(_field(value) for value in values).encode() + b"\n"


def _field(value: object) -> str:
    if value is None:
        return NULL
    text = str(value)
    for character, escape in COPY_ESCAPES:
        text = text.replace(character, escape)
    return text
