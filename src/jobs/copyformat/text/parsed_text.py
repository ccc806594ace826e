"""Text that the server parses, for a number, a date or the like: as what it is written again, where that is certain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})")
_FLOAT = re.compile(_DECIMAL.pattern + r"([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(_DATE.pattern + r"[ T]([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,6})?")
_NUMERIC = re.compile(r"numeric(?:\(\d+,(\d+)\))?")
_BOOLEANS = {
    **dict.fromkeys(("t", "true", "y", "yes", "on", "1"), "true"),
    **dict.fromkeys(("f", "false", "n", "no", "off", "0"), "false"),
}
_EXACT = Context(prec=2_000, rounding=ROUND_HALF_UP)
"""As the server rounds: halves away from zero. A column's scale is 1,000 at most."""

_PARSED = {
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "double precision": "float",
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "timestamp",
}


@dataclass(frozen=True)
class ParsedText:
    """A type whose text is known.

    Attributes:
        kind: What is parsed.
        scale: The digits after the point that the type keeps; None for all.
    """

    kind: str
    scale: int | None = None

    @classmethod
    def of(cls, type_name: str) -> ParsedText | None:
        """Return the type, by the name that SQL has for it; None for another one."""
        numeric = _NUMERIC.fullmatch(type_name)
        if numeric:
            return cls("numeric", None if numeric[1] is None else int(numeric[1]))
        return cls(_PARSED[type_name]) if type_name in _PARSED else None

    def written(self, sent: str) -> str | None:
        """Return what the server writes for a text that it has parsed; None if that is not certain."""
        text = sent.strip(" ")
        if self.kind == "integer":
            return str(int(text)) if _INTEGER.fullmatch(text) else None
        if self.kind == "numeric":
            return self._number(text) if _DECIMAL.fullmatch(text) else None
        if self.kind == "float":
            return self.stored(text) if _FLOAT.fullmatch(text) else None
        if self.kind == "boolean":
            return _BOOLEANS.get(text.lower())
        if self.kind == "date":
            return text if _DATE.fullmatch(text) else None
        return _time(text) if _TIMESTAMP.fullmatch(text) else None

    def stored(self, text: str) -> str:
        """Return the text that the server has written for a value as `written` does."""
        return repr(float(text)) if self.kind == "float" else text

    def _number(self, text: str) -> str:
        number = Decimal(text)
        if self.scale is not None:
            number = number.quantize(Decimal(1).scaleb(-self.scale), context=_EXACT)
        written = format(number, "f")
        return written if number else written.lstrip("-")


def _time(text: str) -> str:
    day, _, fraction = text.replace("T", " ").partition(".")
    fraction = fraction.rstrip("0")
    return f"{day}.{fraction}" if fraction else day
