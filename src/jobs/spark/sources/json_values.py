"""JSON of which Spark would read the first value alone: its reader ignores what follows that in a line, or in a file.

Amazon Data Firehose, for one, writes records one after another without a line feed, all of them in one line. Likewise,
Spark reads half of a surrogate pair as `?`: JavaScript writes its escape where a text was cut within an emoji, and
others write its bytes, as in CESU-8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as f

from jobs.spark.sources.csv_bytes import BOM
from jobs.spark.sources.listing import finds_ascii, lines_of

_BROKEN = "pgjobs_broken"


_HALF = r"(?i)(?<!\\)(?:\\\\)*(?:\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2})"
"""An escape of half a surrogate pair, alone, as a regular expression of Java."""

_NOT_UTF8 = (
    r"\xED[\xA0-\xAF][\x80-\xBF](?!\xED[\xB0-\xBF])|(?<!\xED[\xA0-\xAF][\x80-\xBF])\xED[\xB0-\xBF]"
    r"|\xF0[\x80-\x8F]|\xF4[\x90-\xBF]|[\xF5-\xF7]"
)
"""Bytes that Jackson takes for other characters, as a regular expression of Java: half of a surrogate pair, alone, and
four bytes for a character that has fewer, or is none. It decodes both halves of CESU-8, and refuses other bytes."""

_ONE_EACH = (0xF5, 0xF6, 0xF7)
"""Bytes that Jackson takes for the first of four, and Spark for a character each when it counts them."""


class Misread(NamedTuple):
    """Files, each empty if there is none, that Spark would not read as they are.

    Attributes:
        several: One with text after the first value of a line, or of the file with multiLine.
        half: One with half of a surrogate pair, as an escape.
        not_utf8: One with bytes that are not UTF-8, and would be read as other characters.
    """

    several: str = ""
    half: str = ""
    not_utf8: str = ""


def misread(spark: SparkSession, paths: Sequence[str], options: Mapping[str, str]) -> Misread:
    """Return files that Spark would not read as they are.

    This reads the files once. Values that are broken are not looked for.

    Args:
        spark: The session.
        paths: The files.
        options: The options of the reader, as given.
    """
    given = {name.lower(): value for name, value in options.items()}
    if not finds_ascii(options):
        return Misread()
    multi_line = given.get("multiline", "").lower() == "true"
    lines = lines_of(spark, paths, options, whole=multi_line)
    value = lines["value"]
    if given.get("encoding", given.get("charset", "UTF-8")).upper().replace("-", "") != "UTF8":
        value = f.decode(value.cast("binary"), "ISO-8859-1")  # what is looked for is ASCII
    if multi_line:  # for lines, Hadoop leaves it out
        value = f.when(value.startswith(BOM), f.substring(value, 2, _LONGEST)).otherwise(value)
    half = value.contains("\\u") & value.rlike(_HALF)
    wrong = {"several": _has_more(value, options), "half": half, "not_utf8": _is_not_utf8(value)}
    files = lines.select([f.when(is_so, f.input_file_name()).alias(name) for name, is_so in wrong.items()])
    row = files.agg(*map(f.max, wrong)).first()
    return Misread(*[file or "" for file in row or ()])


_LONGEST = 2**31 - 1


def _is_not_utf8(text: Column) -> Column:
    """Return whether bytes would be read as other characters. Most lines are ASCII, and are not looked at again."""
    octets = text.cast("binary")
    beyond = reduce(or_, [octets.contains(f.lit(bytes([first]))) for first in _ONE_EACH])
    is_ascii = (f.octet_length(text) == f.length(text)) & ~beyond
    wrong = f.decode(octets, "ISO-8859-1").rlike(_NOT_UTF8)
    return f.when(is_ascii | text.contains("\0"), f.lit(False)).otherwise(wrong)


def _has_more(text: Column, options: Mapping[str, str]) -> Column:
    """Return whether text follows the first value: as the only element of an array, it would then be broken.

    The first attempt is fast, and knows no options, such as those for NaN and comments.
    """
    parsing = {**options, "mode": "PERMISSIVE", "columnNameOfCorruptRecord": _BROKEN}
    array = f.concat(f.lit("["), text, f.lit("\n]"))
    is_one = f.coalesce(f.json_array_length(array) == 1, f.lit(False))
    is_one_by_options = f.coalesce(f.size(f.from_json(array, "array<string>", parsing)) == 1, f.lit(False))
    is_object = f.from_json(text, f"pgjobs INT, {_BROKEN} STRING", parsing)[_BROKEN].isNull()
    starts_well = f.get_json_object(text, "$").isNotNull() | is_object
    is_utf16 = text.contains("\0")  # which Jackson detects
    return text.rlike(r"\S") & ~is_one & ~is_one_by_options & starts_well & ~is_utf16
