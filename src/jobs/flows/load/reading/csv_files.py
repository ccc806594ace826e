"""CSV files: how they escape quotes, the names of their columns, with which each header is compared, and their text."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import types as t

from jobs.dbaccess.errors import LoadError
from jobs.flows.file_options import NO_SUCH_TEXT, PERMISSIVE, RAISE, are_headers_own, value_of
from jobs.flows.load.reading.reader import Reading
from jobs.flows.load.stage import MALFORMED
from jobs.spark.sources import csv_bytes, csv_escapes, csv_headers
from jobs.spark.sources.csv_escapes import BACKSLASH, Evidence, LineEnds, Read
from jobs.spark.sources.csv_headers import Header
from jobs.spark.sources.listing import columns_of_folders, finds_ascii, lines_of, relations

_SAYS_ESCAPE = {"escape", "chartoescapequoteescaping", "singlevariantcolumn"}
"""Options, in small letters, with which nothing is to be found out: by the last one, Spark reads no columns."""

_KEPT, _SKIPPED = "STOP_AT_DELIMITER", "SKIP_VALUE"
"""What Spark's reader can make of a value with a quote that is not escaped: its text, or NULL."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CsvColumns:
    """The columns of CSV files.

    Attributes:
        fields: As the reader has to be told.
        names: Their names.
        of_folders: Those that are not read from files.
        is_compared: Whether the reader can compare the header of each file.
        as_bytes: Whether strings are bytes.
        has_bom: Whether the first value of a file may begin with a BOM.
    """

    fields: tuple[t.StructField, ...]
    names: tuple[str, ...]
    of_folders: frozenset[str]
    is_compared: bool
    as_bytes: bool
    has_bom: bool

    def named(self, df: DataFrame) -> DataFrame:
        """Return what was read with the columns' own names. Spark has put those of folders at the end."""
        names = dict(zip((field.name for field in self.fields), self.names))
        return df.toDF(*[names.get(name, name) for name in df.columns])

    def restored(self, df: DataFrame) -> DataFrame:
        """Return the rows with their text."""
        return csv_bytes.decoded(df, self.of_folders, without_bom=self.has_bom) if self.as_bytes else df


def settled(reading: Reading) -> Reading:
    """Return how CSV files are read, with the escape of quotes: they are doubled, or have a backslash before them.

    Raises:
        LoadError: The files could be meant in either way, with different values. Or their lines end in several ways.
    """
    quote = value_of(reading.stated, "quote", '"')
    told = csv_escapes.evidence(reading.spark, reading.paths, reading.stated, quote or '"')
    is_stated = not {name.lower() for name in reading.stated}.isdisjoint(_SAYS_ESCAPE)
    escaping = reading if is_stated or len(quote) != 1 or quote == BACKSLASH else _with_escape(reading, quote, told)
    line_end = value_of(reading.stated, "lineSep")
    if line_end not in {"", "\n"}:
        _check_line_feeds(escaping)
    elif not line_end and told.line_ends_differ and value_of(reading.options, "multiLine").lower() == "true":
        _check_line_ends(escaping)
    return escaping


def _check_line_ends(reading: Reading) -> None:
    """Check that no line end becomes a part of a value without quotes.

    The reader takes the first line end of a file for all of them, also one within quotes. If that is a line feed, it
    keeps a carriage return as a part of the last value; it can trim those of values without quotes alone. If it begins
    with a carriage return, it keeps some line feeds. Told that lines end in line feeds, it keeps those within quotes
    alone.

    Raises:
        LoadError: There is such a value.
    """
    kept, trimmed = _line_ends(reading), _line_ends(reading, ignoreTrailingWhiteSpace="true")
    if not kept or not trimmed:
        return
    apart = _line_ends(reading, lineSep="\n") or kept
    if kept.returns != trimmed.returns:
        what = "end in \\r\\n, but the first line break of one is \\n, so that Spark would keep \\r as a part of each "
        what += "last value"
    elif kept.feeds != apart.feeds:
        what = (
            "end in \\n, but the first line break of one is \\r, so that Spark would keep \\n as a part of some values"
        )
    else:
        return
    raise LoadError(
        f"Lines of the CSV files in {', '.join(reading.paths)} {what}.",
        "Nothing was loaded. Write all line ends in one way. Or give --option lineSep=$'\\r\\n' or lineSep=$'\\n' if "
        "other line breaks are parts of values, or --option multiLine=false if no value has line breaks.",
    )


def _check_line_feeds(reading: Reading) -> None:
    """Check that all line feeds arrive as parts of values, although the user has named another line end.

    Of a value without quotes, the reader may drop what follows a line feed, or begin a record with it.

    Raises:
        LoadError: One does not arrive.
    """
    if not finds_ascii(reading.stated):
        return
    lines = lines_of(reading.spark, reading.paths, {**reading.stated, "recursiveFileLookup": "true"})
    there = csv_escapes.line_ends_in(lines.select("value")).feeds
    read = _line_ends(reading) if there else None
    if read and read.feeds < there:
        raise LoadError(
            f"Values without quotes in the CSV files in {', '.join(reading.paths)} have line feeds, and --option "
            "lineSep names another line end: Spark would not read what follows them.",
            "Nothing was loaded. Enclose such values in quotes, and leave out --option multiLine=false. If line feeds "
            "end the lines, leave out --option lineSep.",
        )


def _line_ends(reading: Reading, **others: str) -> LineEnds | None:
    """Return what the values have of line ends; None if the files cannot be read."""
    try:
        texts = _texts(reading, MALFORMED, unescapedQuoteHandling=_KEPT, **others)
        return csv_escapes.line_ends_in(texts.drop(MALFORMED))
    except Exception:  # noqa: BLE001 - of whatever kind: if the file cannot be read at all, the load will say why
        return None


def _with_escape(reading: Reading, quote: str, told: Evidence) -> Reading:
    """Return how CSV files are read, with the escape of quotes."""
    doubled, escaped = (replace(reading, stated={**reading.stated, "escape": one}) for one in (quote, BACKSLASH))
    if not told.matters or told.against_backslash:
        return doubled
    is_strict = value_of(reading.options, "unescapedQuoteHandling").upper() == RAISE
    escapes = True if told.against_doubled and is_strict else _by_reading(escaped, doubled, told)
    if escapes is None:
        raise LoadError(
            f"The CSV files in {', '.join(reading.paths)} can be read in two ways: a backslash before a quote, or "
            "before another backslash, is a character of the value, or escapes the next one.",
            "Nothing was loaded. Give --option 'escape=\"' if quotes within values are doubled, as by Excel, pandas "
            "and PostgreSQL, or --option 'escape=\\' if a backslash escapes, as by Spark and MySQL.",
        )
    if escapes:
        logger.info("In the CSV files, a backslash escapes quotes.")
    return escaped if escapes else doubled


def _by_reading(escaped: Reading, doubled: Reading, told: Evidence) -> bool | None:
    """Return whether a backslash escapes quotes, by reading the files in both ways; None if that cannot be told."""
    by_backslash = _read(escaped, _KEPT)
    by_quote = None if told.against_doubled else _read(doubled, _KEPT)
    if by_backslash == by_quote:
        return False
    return csv_escapes.escapes(_if_escaped(escaped, by_backslash), _if_escaped(doubled, by_quote))


def _if_escaped(reading: Reading, read: Read | None) -> Read | None:
    """Return what was read if all quotes within values are escaped, or else None.

    The reader could be told to raise an error, but Spark logs that with the text of the record. Instead, values with
    other quotes are read as NULL: that makes a difference if there are any.
    """
    if read is None:
        return None
    is_one = len(csv_escapes.separator_of(reading.stated)) == 1
    # By several characters, the reader fails at such values even if it is to skip them.
    return read if _read(reading, _SKIPPED if is_one else RAISE) == read else None


def _read(reading: Reading, unescaped_quotes: str) -> Read | None:
    """Return what a reader makes of all files and of their headers, or None if it cannot read them.

    Args:
        reading: How they are read.
        unescaped_quotes: What becomes of values with quotes that are not escaped.
    """
    malformed = value_of(reading.stated, "columnNameOfCorruptRecord", MALFORMED)
    try:
        texts = _texts(reading, malformed, unescapedQuoteHandling=unescaped_quotes)
        return csv_escapes.read_all(texts, malformed)
    except Exception:  # noqa: BLE001 - of whatever kind: if the file cannot be read at all, the load will say why
        return None


def _texts(reading: Reading, malformed: str, **others: str) -> DataFrame:
    """Return all records, also headers, as strings, with a column for the text of malformed records."""
    others |= {"header": "false", "inferSchema": "false", "nullValue": NO_SUCH_TEXT}
    reader = partial(reading.reader, mode=PERMISSIVE, columnNameOfCorruptRecord=malformed, **others)
    looked = reading.load(reading.with_schema(reader()))
    names = [name for name in looked.columns if name != malformed]
    schema = t.StructType([t.StructField(name, t.StringType()) for name in (*names, malformed)])
    return reading.load(reader().schema(schema))


def look(looked: DataFrame, columns: Sequence[t.StructField], reading: Reading) -> CsvColumns:
    """Return the columns of CSV files.

    Args:
        looked: The files as the reader has looked at them, with the columns of the user, or of the first header.
        columns: Its columns without that of malformed records.
        reading: How they are read.

    Raises:
        LoadError: The header is not in UTF-8, or the headers of several files cannot be compared.
    """
    of_folders = {field.name.lower() for found in relations(looked) for field in columns_of_folders(found)}
    own = [field.name for field in columns if field.name.lower() not in of_folders]
    header = _header(looked, own, reading)
    read, named = dict(zip(own, header.read)), dict(zip(own, header.names))
    return CsvColumns(
        fields=tuple(
            t.StructField(read.get(field.name, field.name), field.dataType, field.nullable, field.metadata)
            for field in columns
        ),
        names=tuple(named.get(field.name, field.name) for field in columns),
        of_folders=frozenset(field.name for field in columns if field.name not in named),
        is_compared=header.is_compared,
        as_bytes=bool(reading.of_bytes),
        has_bom=_has_bom(looked, reading),
    )


def _has_bom(looked: DataFrame, reading: Reading) -> bool:
    """Return whether the first value of a file may begin with a BOM. The reader of lines leaves it out itself."""
    is_value = bool(reading.of_bytes) and not reading.is_true("header")
    return is_value and value_of(reading.options, "multiLine").lower() == "true" and csv_bytes.begin_with_bom(looked)


def _header(looked: DataFrame, names: Sequence[str], reading: Reading) -> Header:
    """Return how the columns of the files are named."""
    if not names or not reading.is_true("header"):
        return Header(tuple(names), tuple(names), is_compared=False)
    if reading.schema:
        if not reading.of_bytes:
            return Header(tuple(names), tuple(names))
        begins = csv_bytes.begin_with_bom(looked)
        return csv_headers.stated(names, _names(reading)[0] if begins else "")
    texts = [csv_bytes.as_text(name) if reading.of_bytes else name for name in names]
    if any(text is None or "\0" in text for text in texts):
        raise LoadError(
            f"The header of the files in {', '.join(reading.paths)} is not text in UTF-8.",
            "Nothing was loaded. Name its encoding, such as --option encoding=ISO-8859-1 or UTF-16. A compressed file "
            "needs the ending of its kind, such as .gz.",
        )
    header = csv_headers.found(names, [text or "" for text in texts])
    if are_headers_own(names):
        return header
    return _compared(looked, header, reading)


def _compared(looked: DataFrame, header: Header, reading: Reading) -> Header:
    """Return the header with the names that Spark may have numbered as they are in the files.

    Raises:
        LoadError: The headers of several files cannot be compared.
    """
    record = reading.load(reading.reader(header="false", inferSchema="false")).first() or ()
    read = csv_headers.read_as(list(record)[: len(header.names)], value_of(reading.options, "nullValue"))
    case_sensitive = str(looked.sparkSession.conf.get("spark.sql.caseSensitive")).lower() == "true"
    if len(read) == len(header.names) and csv_headers.are_different(read, case_sensitive=case_sensitive):
        return replace(header, read=read)
    files = len(looked._jdf.inputFiles())  # noqa: SLF001 - PySpark would transfer all names
    if files > 1 and not value_of(reading.stated, "enforceSchema"):
        raise LoadError(
            f"The header of the {files} files has a name twice, so that their headers cannot be compared.",
            "Nothing was loaded. Give --option enforceSchema=true if all have the same header, or load them one by "
            "one.",
        )
    return replace(header, is_compared=False)


def _names(reading: Reading) -> list[str]:
    """Return the names of the header as the reader sees them."""
    return list(reading.load(reading.reader(inferSchema="false")).schema.names)
