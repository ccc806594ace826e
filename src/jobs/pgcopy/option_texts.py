"""Texts of options, by names in any letter case, and the values that they stand for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.dbaccess.conninfo.keywords import whole_number
from jobs.dbaccess.errors import UsageError

_NUMBER = whole_number(1, (1 << 63) - 1)


@dataclass(frozen=True)
class OptionTexts:
    """The texts that were given.

    Attributes:
        texts: By their names in lower case.
    """

    texts: Mapping[str, str]

    def given(self, name: str) -> str | None:
        """Return a text, which may be empty; None if it was not given."""
        return self.texts.get(name.lower())

    def text(self, name: str) -> str:
        """Return a text; empty if it was not given."""
        return self.given(name) or ""

    def flag(self, name: str, default: bool = False) -> bool:
        """Return whether an option is true.

        Raises:
            UsageError: It is neither true nor false.
        """
        text = self.text(name).lower() or str(default).lower()
        if text not in {"true", "false"}:
            raise UsageError(f"The option {name} is {self.text(name)!r}.", "Give true or false.")
        return text == "true"

    def number(self, name: str) -> int | None:
        """Return a number of at least 1; None if it was not given.

        Raises:
            UsageError: It is not such a number.
        """
        text = self.text(name)
        try:
            return _NUMBER(text) if text else None
        except ValueError:
            raise UsageError(f"The option {name} is {text!r}.", "Give a number of at least 1.") from None

    def seconds(self, name: str, default: float = 0.0) -> float:
        """Return a number of seconds.

        Raises:
            UsageError: It is not such a number.
        """
        try:
            value = float(self.text(name) or default)
        except ValueError:
            value = -1.0
        if not value >= 0:  # nan is not
            raise UsageError(f"The option {name} is {self.text(name)!r}.", "Give a number of seconds; inf for no end.")
        return value

    def share(self, name: str) -> float | None:
        """Return a share of 1; None if it was not given. Its range is checked with the mode.

        Raises:
            UsageError: It is not a number.
        """
        try:
            return float(self.text(name)) if self.text(name) else None
        except ValueError:
            raise UsageError(f"The option {name} is {self.text(name)!r}.", "Give a share from 0 to 1.") from None

    def names(self, name: str) -> tuple[str, ...]:
        """Return names that were separated by commas."""
        return tuple(self.text(name).split(",")) if self.text(name) else ()

    def json_of(self, name: str, kind: str, example: str) -> Any:  # noqa: ANN401 - the caller knows the kind
        """Return an option that is a JSON object of strings, or a JSON array of them.

        Raises:
            UsageError: It is something else.
        """
        try:
            given = json.loads(self.text(name))
        except ValueError:
            given = None
        values = given.values() if isinstance(given, dict) else given
        if not isinstance(values, Iterable) or not all(isinstance(value, str) for value in values):
            raise UsageError(f"The option {name} is {self.text(name)!r}.", f"Give {kind}, such as {example}.")
        return given
