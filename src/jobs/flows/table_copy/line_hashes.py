"""Hashes lines that one server has written, as the other server hashes the rows that it stored (see row_text).

So a copy can be verified without reading the source twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.copy_text import NULL, OUTPUT_ESCAPES
from jobs.dbaccess.load.row_text import HASH_DIGITS, PLAIN, PRESENCE, Form, RowText
from jobs.dbaccess.session import Session
from jobs.flows.table_copy.copied_columns import CopiedColumn

_SEPARATOR = b"\x1f"
_NULL = NULL.encode()
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED = {escape[1].encode(): character.encode() for character, escape in OUTPUT_ESCAPES}

_WRITTEN = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
"""With what the source writes (see snapshot), in which the order of day and month shows nowhere."""


def row_text(source: Session, target: Session, columns: Sequence[CopiedColumn], kept: Sequence[bool]) -> RowText:
    """Return how the target writes rows for their hashes.

    Args:
        source: A session that reads: text of a timestamptz is in its time zone.
        target: A session of the table's database.
        columns: The columns.
        kept: Whether the target writes each as the source does.
    """
    zone = source.value("SELECT pg_catalog.current_setting('TimeZone')")
    return RowText(
        tuple(column.target.name for column in columns),
        tuple(Form(PLAIN if is_kept else PRESENCE) for is_kept in kept),
        recode=target.value("SHOW server_encoding") != "UTF8",
        intended="the source has sent",
        settings=tuple({**_WRITTEN, "TimeZone": str(zone)}.items()),
    )


@dataclass(frozen=True)
class LineHashes:
    """Hashes lines of COPY's text format.

    Attributes:
        compared: Whether each column is compared; of others, only NULLs are.
    """

    compared: tuple[bool, ...]

    def sum(self, block: bytes) -> int:
        """Return the sum of the hashes of a block of whole lines."""
        return sum(map(self._hash, block.split(b"\n")[:-1]))

    def _hash(self, line: bytes) -> int:
        plain = b"\\" not in line and all(self.compared)
        text = line.replace(b"\t", _SEPARATOR) if plain else self._text(line.split(b"\t"))
        digest = hashlib.md5(text, usedforsecurity=False).digest()
        return int.from_bytes(digest[: HASH_DIGITS // 2], "big", signed=True)

    def _text(self, fields: Sequence[bytes]) -> bytes:
        shown = (
            _ESCAPE.sub(_unescaped, field) if is_compared and field != _NULL else b""
            for field, is_compared in zip(fields, self.compared)
        )
        whole = _SEPARATOR.join(shown)
        if _NULL not in fields:
            return whole
        return whole + _SEPARATOR.join(b"t" if field == _NULL else b"f" for field in fields)


def _unescaped(escape: re.Match[bytes], escaped: Mapping[bytes, bytes] = _ESCAPED) -> bytes:
    return escaped.get(escape.group(1), escape.group(1))
