"""Whether a backslash may be an escape in CSV files, and whether two ways to read them differ.

Files as people have them double the quotes within quoted values (RFC 4180), which Spark's reader does by the escape
`"`. Spark's and MySQL's writers escape them by a backslash. A backslash does so only in front of a quote or of another
backslash. If it stands in front of neither, both ways read the same, but for doubled quotes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from jobs.copyformat.encode_spark import backquoted
from jobs.spark.sources.listing import lines_of

BACKSLASH = "\\"


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


def may_escape(spark: SparkSession, paths: Sequence[str], options: Mapping[str, str], quote: str) -> bool:
    """Return whether a backslash stands in front of a quote or of another backslash anywhere in files.

    This reads the files once, as text.

    Args:
        spark: The session.
        paths: The files.
        options: The options of the reader, as given.
        quote: The character that encloses values.
    """
    given = {name.lower(): value for name, value in options.items()}
    if given.get("encoding", given.get("charset", "")).upper().startswith(("UTF-16", "UTF-32")):
        return True  # the reader of text does not know them
    lines = lines_of(spark, paths, {**options, "recursiveFileLookup": "true"})  # a folder's name may be value=1
    text = lines["value"]
    try:
        row = lines.agg(f.max(text.contains(BACKSLASH + quote) | text.contains(BACKSLASH * 2))).first()
    except Exception:  # noqa: BLE001 - of whatever kind: if the files cannot be read, the load will say why
        return True
    return row is not None and bool(row[0])


def read_all(df: DataFrame, malformed: str) -> Read:
    """Return what a reader makes of files.

    Args:
        df: The records.
        malformed: The name of the column with the text of a malformed record.
    """
    bad = df[backquoted(malformed)]
    values = f.xxhash64(*[df[backquoted(name)] for name in df.columns]).cast("decimal(20,0)")
    row = df.agg(f.count(f.lit(1)), f.count(bad), f.coalesce(f.sum(values), f.lit(0))).first() or (0, 0, 0)
    return Read(int(row[0]), int(row[1]), int(row[2]))


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
