"""The full name of a table in Spark's catalogs, in its SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.copyformat.encode_spark import backquoted

_PLAIN = re.compile(r"[^`.]+")


@dataclass(frozen=True)
class LakeTable:
    """A table of a catalog.

    Attributes:
        parts: The catalog, the database (or several, one in the other), and the table.
    """

    parts: tuple[str, ...]

    @property
    def catalog(self) -> str:
        """The catalog, quoted for Spark's SQL."""
        return backquoted(self.parts[0])

    @property
    def quoted(self) -> str:
        """The table, quoted for Spark's SQL."""
        return ".".join(map(backquoted, self.parts))

    def metadata(self, name: str) -> str:
        """Return one of Iceberg's metadata tables of the table, quoted for Spark's SQL."""
        return f"{self.quoted}.{backquoted(name)}"

    def __str__(self) -> str:
        """Return the name as a user writes it."""
        return ".".join(part if _PLAIN.fullmatch(part) else backquoted(part) for part in self.parts)


def literal(text: str) -> str:
    """Return a string constant of Spark's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
