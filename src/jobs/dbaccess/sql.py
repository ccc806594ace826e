"""Quoting of names and checks of text. Values are bound, except in statements that take no parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.dbaccess.errors import UsageError

MAX_NAME_BYTES = 63
"""PostgreSQL truncates longer names without an error (NAMEDATALEN - 1)."""

_PLAIN = re.compile(r'[^".]+')
_PART = re.compile(rf'"(?:[^"]|"")+"|{_PLAIN.pattern}')


def is_text(text: str) -> bool:
    """Return whether PostgreSQL can store a text: no NUL, and no lone surrogates, which stand for invalid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def check_texts(values: Iterable[object]) -> None:
    """Refuse texts, among values and in lists of values, that PostgreSQL cannot store.

    Raises:
        UsageError: A text contains NUL, or bytes that are not UTF-8.
    """
    for value in values:
        if isinstance(value, str) and not is_text(value):
            raise UsageError(f"{value[:100]!r} contains NUL, or bytes that are not UTF-8.", "PostgreSQL takes neither.")
        if isinstance(value, (list, tuple)):
            check_texts(value)


def quote_name(name: str) -> str:
    """Quote one identifier, so that it stands for itself, whatever it contains.

    Raises:
        UsageError: The name is empty, contains NUL or invalid UTF-8, or is longer than PostgreSQL's 63 bytes.
    """
    size = len(name.encode(errors="replace"))
    if not name or not is_text(name) or size > MAX_NAME_BYTES:
        raise UsageError(
            f"{name!r} cannot be a name in PostgreSQL: it takes 1 to {MAX_NAME_BYTES} bytes of UTF-8, and no NUL.",
            f"This one has {size}. Rename it.",
        )
    return '"' + name.replace('"', '""') + '"'


def quote_names(names: Iterable[str]) -> str:
    """Return a list of identifiers, quoted and separated by commas."""
    return ", ".join(map(quote_name, names))


def quote_literal(text: str) -> str:
    """Return a string constant, for statements that take no parameters. It means the same with any setting."""
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


@dataclass(frozen=True)
class TableName:
    """The name of a table, with its schema if that is given."""

    name: str
    schema: str | None = None

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Parse `[schema.]table`. Names are taken as written, without folding to lower case.

        A name that contains a dot must be in double quotes, as in SQL.

        Raises:
            UsageError: The text is not one or two names.
        """
        parts = _PART.findall(text)
        if ".".join(parts) != text or len(parts) not in (1, 2):
            raise UsageError(
                f"{text!r} is not a table's name.",
                'Write table, schema.table, or "a.b" for a name with a dot.',
            )
        names = [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]
        return cls(names[-1], *names[:-1])

    @property
    def quoted(self) -> str:
        """Return the name for use in a statement."""
        return ".".join(quote_name(part) for part in (self.schema, self.name) if part is not None)

    def sibling(self, name: str) -> TableName:
        """Return the name of another table in the same schema."""
        return TableName(name, self.schema)

    def __str__(self) -> str:
        """Return the inverse of `parse`: a part with a dot or a quote is in double quotes, any other is unchanged."""
        parts = [part for part in (self.schema, self.name) if part is not None]
        return ".".join(part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in parts)
