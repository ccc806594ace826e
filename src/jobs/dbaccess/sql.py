"""Names and statements as values: every name is quoted here, every value is bound elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.dbaccess.errors import UsageError

MAX_NAME_BYTES = 63
"""PostgreSQL cuts longer names without an error (NAMEDATALEN - 1)."""

_PLAIN = re.compile(r'[^".]+')
_PART = re.compile(rf'"(?:[^"]|"")+"|{_PLAIN.pattern}')


def is_text(text: str) -> bool:
    """Whether PostgreSQL can be told a text: no NUL, nor lone surrogates, signs for bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def check_texts(values: Iterable[object]) -> None:
    """Refuse texts, among values and in lists of them, that PostgreSQL cannot be told.

    Raises:
        UsageError: one holds NUL, or bytes that are no UTF-8.
    """
    for value in values:
        if isinstance(value, str) and not is_text(value):
            raise UsageError(f"{value[:100]!r} holds NUL, or bytes that are not UTF-8.", "PostgreSQL takes neither.")
        if isinstance(value, (list, tuple)):
            check_texts(value)


def quote_name(name: str) -> str:
    """Quote one identifier, so that it means itself whatever it holds.

    Raises:
        UsageError: the name is empty, holds NUL or what is no UTF-8, or is longer than PostgreSQL's 63 bytes.
    """
    size = len(name.encode(errors="replace"))
    if not name or not is_text(name) or size > MAX_NAME_BYTES:
        raise UsageError(
            f"{name!r} cannot be a name in PostgreSQL: it takes 1 to {MAX_NAME_BYTES} bytes of UTF-8, and no NUL.",
            f"This one has {size}. Rename it.",
        )
    return '"' + name.replace('"', '""') + '"'


def quote_names(names: Iterable[str]) -> str:
    """A list of identifiers, quoted and separated by commas."""
    return ", ".join(map(quote_name, names))


@dataclass(frozen=True)
class TableName:
    """A table's name, with its schema where that was said."""

    name: str
    schema: str | None = None

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read `[schema.]table`, names as written: nothing is folded to lower case.

        A name that holds a dot stands in double quotes, as in SQL.

        Raises:
            UsageError: the text is not one or two names.
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
        """The name as it stands in a statement."""
        return ".".join(quote_name(part) for part in (self.schema, self.name) if part is not None)

    def sibling(self, name: str) -> TableName:
        """Another table of the same schema."""
        return TableName(name, self.schema)

    def __str__(self) -> str:
        """The inverse of `parse`: a part that holds a dot or a quote stands in double quotes, any other as it is."""
        parts = [part for part in (self.schema, self.name) if part is not None]
        return ".".join(part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in parts)
