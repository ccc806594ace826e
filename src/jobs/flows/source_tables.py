"""Tables of Spark's catalogs, as a user names them. Nothing here needs Spark."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.dbaccess.errors import UsageError

_PART = re.compile(r"`((?:[^`]|``)+)`|([^`.]+)")


@dataclass(frozen=True)
class CatalogTable:
    """The table or view to read.

    Attributes:
        name: `[catalog.]database.table`, as Spark writes it: a part with a dot is in backquotes.
        version: Iceberg's snapshot or Delta's version to read; empty for the current one.
        select: A query over the view `source`; empty for all rows.
    """

    name: str
    version: str = ""
    select: str = ""


def check(source: CatalogTable) -> None:
    """Check what can be checked without Spark.

    Raises:
        UsageError: The name or the version cannot be one.
    """
    parts_of(source.name)
    check_version(source.version)


def check_version(version: str) -> None:
    """Check that a text can be the number of a version.

    Raises:
        UsageError: It cannot.
    """
    if version and not (version.isascii() and version.isdigit()):
        raise UsageError(
            f"{version!r} is not a version of a table.",
            "Give the id of Iceberg's snapshot, or Delta's version: a number.",
        )


def parts_of(name: str) -> tuple[str, ...]:
    """Return the parts of a table's name, without backquotes.

    Raises:
        UsageError: The text is no name, or lacks the database.
    """
    found = list(_PART.finditer(name))
    if len(found) < 2 or ".".join(match.group() for match in found) != name:  # noqa: PLR2004 - database and table
        raise UsageError(
            f"{name!r} is not a table of Spark's catalogs.",
            "Write database.table or catalog.database.table, and `a.b` in backquotes for a name with a dot.",
        )
    return tuple(match[2] if match[1] is None else match[1].replace("``", "`") for match in found)
