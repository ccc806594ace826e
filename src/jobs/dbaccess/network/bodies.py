"""Checks of the bodies of messages against the protocol. Code behind these checks can rely on them.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping

from jobs.dbaccess.errors import broken_protocol

_COUNT, _SIZE = struct.Struct("!H"), struct.Struct("!i")
_COLUMN = struct.Struct("!ihihih")
_TAG = re.compile(rb"[ -~]{0,63}\0")
_COPY_TAG = re.compile(rb"COPY (\d{1,19})\0")
_ERROR_FIELD = re.compile(rb"[A-Za-z]")
_UTF8_NAMES = ("utf8", "unicode")


def check(kind: bytes, body: bytes) -> None:
    """Check that a body has the form of its message type.

    Raises:
        ProtocolBroken: It does not.
    """
    is_right = _FORMS.get(kind)
    if is_right is not None and not is_right(body):
        raise broken_protocol(f"a message of the kind {kind!r} is not formed as such")


def rows_copied(tag: bytes) -> int:
    """Return the number of rows in COPY's CommandComplete.

    Raises:
        ProtocolBroken: The message belongs to another statement.
    """
    match = _COPY_TAG.fullmatch(tag)
    if match is None:
        raise broken_protocol("a COPY was answered as another statement")
    return int(match[1])


def columns(body: bytes) -> int | None:
    """Return the number of columns in a RowDescription, all in text format; None if it is malformed."""
    if len(body) < _COUNT.size:
        return None
    [count] = _COUNT.unpack_from(body)
    place = _COUNT.size
    for _ in range(count):
        end = body.find(b"\0", place)
        if end < 0 or end + 1 + _COLUMN.size > len(body) or not _is_utf8(body[place:end]):
            return None
        *_, form = _COLUMN.unpack_from(body, end + 1)
        if form:
            return None
        place = end + 1 + _COLUMN.size
    return int(count) if place == len(body) else None


def values(body: bytes) -> int | None:
    """Return the number of values in a DataRow; None if it is malformed."""
    if len(body) < _COUNT.size:
        return None
    [count] = _COUNT.unpack_from(body)
    place = _COUNT.size
    for _ in range(count):
        if place + _SIZE.size > len(body):
            return None
        [size] = _SIZE.unpack_from(body, place)
        start = place + _SIZE.size
        place = start + max(size, 0)
        if size < -1 or place > len(body) or not _is_utf8(body[start:place]):
            return None
    return int(count) if place == len(body) else None


def _is_parameter(body: bytes) -> bool:
    """Return whether a body is a name and its value. The encoding must be ours, since rows are read as UTF-8."""
    parts = body.split(b"\0")
    if len(parts) != 3 or parts[2] or not _is_utf8(body):  # noqa: PLR2004 - name, value, nothing
        return False
    return parts[0] != b"client_encoding" or parts[1].decode().lower() in _UTF8_NAMES


def _is_error(body: bytes) -> bool:
    return all(_ERROR_FIELD.match(field) for field in body.split(b"\0") if field)


def _is_key(body: bytes) -> bool:
    """Return whether a body is a process id and a secret of 4 bytes or, in later versions of the protocol, more."""
    return len(body) >= 2 * _SIZE.size


def _is_text_copy(body: bytes) -> bool:
    """Return whether all columns are in text format."""
    return len(body) >= 3 and not any(body[:1] + body[3:])  # noqa: PLR2004 - format and count, then the columns'


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_empty(body: bytes) -> bool:
    return not body


_FORMS: Mapping[bytes, Callable[[bytes], bool]] = {
    **dict.fromkeys((b"1", b"2", b"3", b"I", b"c", b"n", b"s"), _is_empty),
    b"C": lambda body: _TAG.fullmatch(body) is not None,
    b"D": lambda body: values(body) is not None,
    b"E": _is_error,
    b"G": _is_text_copy,
    b"H": _is_text_copy,
    b"K": _is_key,
    b"S": _is_parameter,
    b"T": lambda body: columns(body) is not None,
    b"Z": lambda body: body in {b"I", b"T", b"E"},
}
