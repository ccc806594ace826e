"""What a marker names as its target_table: the full name of a table, or those of a release as a list in JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName


def naming(targets: Iterable[TableName]) -> str:
    """Return the target_table of a marker of one table, or of several."""
    names = sorted(map(str, targets))
    return names[0] if len(names) == 1 else f"[{', '.join(map(in_json, names))}]"


def in_json(name: str) -> str:
    """Return a name as it is written in the list of a release."""
    return json.dumps(name, ensure_ascii=False)


def is_named(recorded: str, targets: Collection[TableName]) -> bool:
    """Return whether a marker is that of a table, or of a release of several.

    The marker of a release is also that of each of its tables: the load is in it.

    Args:
        recorded: The marker's target_table, which may be any text: Luigi writes whatever name its task has.
        targets: The table under its full name; several for a release, whose marker has to name exactly these.
    """
    named = _tables(recorded)
    if len(targets) > 1:
        return named == set(targets)
    [target] = targets
    unquoted = f"{target.schema}.{target.name}"  # markers were written like this before names in them were quoted
    return recorded == unquoted or target in named


def _tables(recorded: str) -> set[TableName]:
    """Return the tables that a marker names; none if it contains anything else."""
    try:
        names = json.loads(recorded) if recorded.startswith("[") else [recorded]
        return {TableName.parse(name) for name in names}
    except (UsageError, ValueError, TypeError):  # text of another program
        return set()
