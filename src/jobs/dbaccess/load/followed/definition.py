"""What of a source a table has: which of its rows and columns, by which keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jobs.dbaccess.load.rejects.policy import ERROR


@dataclass(frozen=True)
class Definition:
    """What of a source a table has.

    Attributes:
        keys: The columns that identify a row.
        select: A query over the view `source`; empty for all columns and rows.
        soft_delete: The column that marks rows as deleted; None if they are deleted.
        columns: The source's columns, nested ones too, each with the number that it keeps if it is renamed, and that no
            other column gets; empty if the source has no such numbers.
        null_values: Strings of the data that stand for NULL.
        nul: What is done about characters that the server cannot store.
    """

    keys: tuple[str, ...]
    select: str = ""
    soft_delete: str | None = None
    columns: Mapping[str, int] = field(default_factory=dict)
    null_values: tuple[str, ...] = ()
    nul: str = ERROR

    @classmethod
    def parse(cls, text: str) -> Definition:
        """Parse what `text` returns."""
        values: dict[str, Any] = json.loads(text)
        return cls(
            tuple(values.get("keys", ())),
            values.get("select", ""),
            values.get("soft_delete"),
            values.get("columns", {}),
            tuple(values.get("null_values", ())),
            values.get("nul", ERROR),
        )

    @property
    def text(self) -> str:
        """Return it as it is stored."""
        values = {name: value for name, value in asdict(self).items() if name in ("keys", "select") or value}
        return json.dumps(values, ensure_ascii=False)

    def is_wanted_as(self, now: Definition) -> bool:
        """Return whether the user wants the same as before.

        Where such characters were errors, no row had one.
        """
        nul = now.nul if ERROR in (self.nul, now.nul) else self.nul
        return replace(self, columns=now.columns, nul=nul) == now

    def changed(self, now: Definition) -> str:
        """Return which column's old values are under another name, or are those of another column; empty for none."""
        names = {number: name for name, number in self.columns.items()}
        for name, number in now.columns.items():
            if self.columns and self.columns.get(name) != number:
                if number in names:
                    return f"its column {name} was {names[number]}"
                if name in self.columns:
                    return f"its column {name} was dropped, and another one was added by this name"
        return ""

    def after(self, former: Definition) -> Definition:
        """Return the definition after a load: the table keeps the values of columns that the source has dropped.

        It keeps those, too, in which characters were changed.
        """
        now = set(self.columns.values())
        kept = {name: number for name, number in former.columns.items() if number not in now}
        return replace(self, columns={**kept, **self.columns}, nul=former.nul if self.nul == ERROR else self.nul)
