"""Whether a backslash escapes quotes in CSV files: what their text says, and what two ways to read them make of them.

Files as people have them double the quotes within quoted values (RFC 4180), which Spark's reader does by the escape
`"`. Spark's and MySQL's writers escape them by a backslash. A backslash does so only in front of a quote or of another
backslash. If it stands in front of neither, both ways read the same, but for doubled quotes.

Text may show that a way is impossible. A separator, a quote and another character can only begin a quoted value: within
one, that quote would not be escaped in either way. So what the lines before say does not matter. If in one of the ways
the next quote, or its pair, then ends the value, although the line goes on, that way is impossible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

from jobs.copyformat.encode_spark import backquoted
from jobs.spark.sources.listing import finds_ascii, lines_of

BACKSLASH = "\\"


class Evidence(NamedTuple):
    """What the text of files says of how they escape quotes.

    Attributes:
        line_ends_differ: Whether some lines end in a carriage return, and others do not, or have one elsewhere.
        matters: Whether there is a quote, and a backslash in front of a quote or of another backslash.
        against_backslash: Whether a value has a quote that is not escaped, if a backslash escapes quotes.
        against_doubled: Whether a value has one, if quotes are doubled.
    """

    line_ends_differ: bool
    matters: bool
    against_backslash: bool = False
    against_doubled: bool = False


class Read(NamedTuple):
    """What a reader makes of files.

    Attributes:
        records: The number of records.
        malformed: How many of them it could not read.
        values: The sum of the hashes of all records.
    """

    records: int
    malformed: int
    values: int


def separator_of(options: Mapping[str, str]) -> str:
    """Return what separates values, by the options of a reader. It may be several characters."""
    given = {name.lower(): value for name, value in options.items()}
    separator = given.get("sep", given.get("delimiter", ","))
    return "\t" if separator == r"\t" else separator


def evidence(spark: SparkSession, paths: Sequence[str], options: Mapping[str, str], quote: str) -> Evidence:
    """Return what the text of files says, line by line. This reads them once, and once more up to what decides.

    If there are lines against both ways, one of them is taken: neither way can read the files.

    Args:
        spark: The session.
        paths: The files.
        options: The options of the reader, as given.
        quote: The character that encloses values.
    """
    given = {name.lower(): value for name, value in options.items()}
    if not finds_ascii(options) or not quote.isascii():
        return Evidence(line_ends_differ=True, matters=True)
    feeds = {"recursiveFileLookup": "true", "lineSep": given.get("linesep", "\n")}  # a folder's name may be value=1
    lines = lines_of(spark, paths, {**options, **feeds})
    text = lines["value"]
    pair = text.contains(BACKSLASH + quote) | text.contains(BACKSLASH * 2)
    is_return, is_within = text.endswith("\r"), text.contains("\r") & (f.instr(text, "\r") < f.length(text))
    try:
        row = lines.agg(f.max(pair), f.max(is_return), f.min(is_return), f.max(is_within)).first() or (None,) * 4
        differ = bool(row[3] or (row[1] and row[2] is False))
        if not row[0] or not _says(lines, text.contains(quote)):
            return Evidence(differ, matters=False)
        separator = separator_of(options)
        is_plain = len(separator) == 1 and separator.isascii() and separator not in {quote, BACKSLASH}
        if not is_plain or given.get("comment"):
            return Evidence(differ, matters=True)
        patterns = impossible_by(quote, separator)
        against_backslash = text.contains(quote * 2) & text.rlike(patterns[0])
        against_doubled = text.contains(BACKSLASH + quote) & text.rlike(patterns[1])
        said = _says(lines, against_backslash | against_doubled, against_backslash)
    except Exception:  # noqa: BLE001 - of whatever kind: if the files cannot be read, the load will say why
        return Evidence(line_ends_differ=True, matters=True)
    return Evidence(differ, True, against_backslash=said is True, against_doubled=said is False)


def _says(lines: DataFrame, wanted: Column, what: Column | None = None) -> bool | None:
    """Return what the first such line says, or None if there is none. Nothing of a file is read after the first."""
    said = lines.where(wanted).select((wanted if what is None else what).alias("said")).limit(1)
    row = said.agg(f.max("said")).first()
    return None if row is None or row[0] is None else bool(row[0])


def impossible_by(quote: str, separator: str) -> tuple[str, str]:
    """Return what is impossible if a backslash escapes quotes, and if they are doubled, as regular expressions of Java.

    After a closing quote, and spaces, which belong to no value, the value or the line has to end.

    Args:
        quote: The character that encloses values, in ASCII.
        separator: The one between values, likewise.
    """
    mark, between = (f"\\x{ord(character):02x}" for character in (quote, separator))
    end = f"{mark}{between}\\x00-\\x20"
    goes_on = ("" if separator == " " else " *+") + f"[^{end}]"
    against_backslash = f"{between}{mark}(?:[^{end}\\\\][^{mark}\\\\\\r]*+)?{mark}{{2,}}+{goes_on}"
    against_doubled = f"{between}{mark}[^{end}][^{mark}\\r]*+{mark}{goes_on}"
    return against_backslash, against_doubled


def read_all(df: DataFrame, malformed: str) -> Read:
    """Return what a reader makes of files.

    Args:
        df: The records.
        malformed: The name of the column with the text of a malformed record.
    """
    bad = df[backquoted(malformed)]
    columns = [df[backquoted(name)] for name in df.columns]
    hashed = f.xxhash64(*columns, *[column.isNull() for column in columns])  # a NULL changes no hash
    values = f.coalesce(f.sum(hashed.cast("decimal(20,0)")), f.lit(0))
    row = df.agg(f.count(f.lit(1)), f.count(bad), values).first() or (0, 0, 0)
    return Read(int(row[0]), int(row[1]), int(row[2]))


class LineEnds(NamedTuple):
    """What values, of strings, have of line ends.

    Attributes:
        returns: How many values end in a carriage return.
        feeds: How many line feeds they have in all.
    """

    returns: int
    feeds: int


def line_ends_in(df: DataFrame) -> LineEnds:
    """Return what the values of columns of strings have of line ends."""
    columns = [df[backquoted(name)] for name in df.columns]
    returns = [f.count_if(column.endswith("\r")) for column in columns]
    feeds = [f.sum(f.length(column) - f.length(f.translate(column, "\n", ""))) for column in columns]
    counted = [int(count or 0) for count in df.agg(*returns, *feeds).first() or ()]
    return LineEnds(sum(counted[: len(columns)]), sum(counted[len(columns) :]))


def escapes(by_backslash: Read | None, by_quote: Read | None) -> bool | None:
    """Return whether a backslash escapes quotes; None if that cannot be told.

    Args:
        by_backslash: What is read if it does; None if that is impossible.
        by_quote: What is read if quotes are doubled; likewise.
    """
    if by_backslash is None or by_backslash == by_quote:
        return False
    if by_quote is None:
        return True
    if (by_backslash.malformed == 0) != (by_quote.malformed == 0):
        return by_backslash.malformed == 0
    return None
