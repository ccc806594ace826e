"""What of a source a table has: which of its rows and columns, by which keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Definition:
    """What of a source a table has.

    Attributes:
        keys: The columns that identify a row.
        select: A query over the view `source`; empty for all columns and rows.
        soft_delete: The column that marks rows as deleted; None if they are deleted.
        columns: The source's columns, nested ones too, each with the number that it keeps if it is renamed, and that no
            other column gets; empty if the source has no such numbers.
    """

    keys: tuple[str, ...]
    select: str = ""
    soft_delete: str | None = None
    columns: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Definition:
        """Parse what `text` returns."""
        values: dict[str, Any] = json.loads(text)
        return cls(
            tuple(values.get("keys", ())),
            values.get("select", ""),
            values.get("soft_delete"),
            values.get("columns", {}),
        )

    @property
    def text(self) -> str:
        """Return it as it is stored."""
        values: dict[str, object] = {"keys": self.keys, "select": self.select}
        if self.soft_delete is not None:
            values["soft_delete"] = self.soft_delete
        if self.columns:
            values["columns"] = dict(self.columns)
        return json.dumps(values, ensure_ascii=False)

    def is_wanted_as(self, now: Definition) -> bool:
        """Return whether the user wants the same as before."""
        return replace(self, columns=now.columns) == now

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
        """Return the definition after a load: the table keeps the values of columns that the source has dropped."""
        now = set(self.columns.values())
        kept = {name: number for name, number in former.columns.items() if number not in now}
        return replace(self, columns={**kept, **self.columns})
