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


def quote_name(name: str) -> str:
    """Quote one identifier, so that it means itself whatever it holds.

    Raises:
        UsageError: the name is empty, holds NUL, or is longer than PostgreSQL's 63 bytes.
    """
    size = len(name.encode())
    if not name or "\0" in name or size > MAX_NAME_BYTES:
        raise UsageError(
            f"{name!r} cannot be a name in PostgreSQL: it takes 1 to {MAX_NAME_BYTES} bytes, and no NUL.",
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
