"""The names of CSV columns: those of the header, and how the reader is told them, so that it compares each header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.spark.sources.csv_bytes import BOM, as_bytes, as_text


@dataclass(frozen=True)
class Header:
    """How the columns of CSV files are named.

    Attributes:
        read: Their names to the reader: those that are in the header of each file.
        names: Their names.
        is_compared: Whether the reader can compare them with the header of each file.
    """

    read: tuple[str, ...]
    names: tuple[str, ...]
    is_compared: bool = True


def stated(names: Sequence[str], first: str = "") -> Header:
    """Return the header of columns that the user names, for a reader of bytes.

    Args:
        names: Their names.
        first: The first name as the reader sees it, if the files begin with a BOM: it takes that for a part of it.
    """
    read = [as_bytes(name) for name in names]
    if first and unmarked(as_text(first) or "").lower() == names[0].lower():
        read[0] = first
    return Header(tuple(read), tuple(names))


def found(read: Sequence[str], texts: Sequence[str]) -> Header:
    """Return the header of columns that have their names in the files.

    Args:
        read: Their names as the reader sees them.
        texts: The same as texts.
    """
    return Header(tuple(read), (unmarked(texts[0]) or "_c0", *texts[1:]))


def unmarked(name: str) -> str:
    """Return the first name of a header without a BOM, and without the quotes that the BOM has hidden."""
    if not name.startswith(BOM):
        return name
    name = name[len(BOM) :]
    is_quoted = len(name) > 1 and name.startswith('"') and name.endswith('"')
    return name[1:-1] if is_quoted else name


def read_as(record: Sequence[str | None], empty: str) -> tuple[str, ...]:
    """Return the names of a header, read as a record, as the reader compares them.

    Args:
        record: The header.
        empty: What it takes an empty name for.
    """
    return tuple(empty if name is None else name for name in record)


def are_different(names: Sequence[str], *, case_sensitive: bool) -> bool:
    """Return whether no name occurs twice, for Spark."""
    return len({name if case_sensitive else name.lower() for name in names}) == len(names)
