"""The options of Spark's file readers and writers: which ones exist, and our defaults.

https://spark.apache.org/docs/latest/sql-data-sources-csv.html#data-source-option, and likewise for the other formats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from jobs.dbaccess.errors import UsageError

FAILFAST, PERMISSIVE, DROPMALFORMED = MODES = ("FAILFAST", "PERMISSIVE", "DROPMALFORMED")
"""What a reader does about a malformed record: fail, put NULL for the values it cannot parse, or drop the record."""

PARSED = ("csv", "json")
"""Formats whose records can be malformed, and whose files do not state the columns' types."""

NO_SUCH_TEXT = "\0pgjobs NULL\0"
"""What a CSV reader treats as NULL. PostgreSQL's text cannot contain NUL, so no value equals this one."""

RAISE = "RAISE_ERROR"
"""What Spark's reader of CSV does about a quote that is not escaped: it fails."""

_FILES = (
    "pathGlobFilter recursiveFileLookup modifiedBefore modifiedAfter ignoreCorruptFiles ignoreMissingFiles basePath"
)
_PARSED = (
    "charset columnNameOfCorruptRecord compression dateFormat enableDateTimeParsingFallback encoding lineSep locale "
    "mode multiLine samplingRatio singleVariantColumn timeZone timestampFormat timestampNTZFormat"
)
_KNOWN = {
    "csv": f"{_PARSED} charToEscapeQuoteEscaping codec columnPruning comment delimiter emptyValue enforceSchema escape "
    "escapeQuotes extension header ignoreLeadingWhiteSpace ignoreTrailingWhiteSpace inferSchema inputBufferSize "
    "maxCharsPerColumn maxColumns nanValue negativeInf nullValue positiveInf preferDate quote quoteAll sep "
    "unescapedQuoteHandling",
    "json": f"{_PARSED} allowBackslashEscapingAnyCharacter allowComments allowNonNumericNumbers "
    "allowNumericLeadingZeros allowSingleQuotes allowUnquotedControlChars allowUnquotedFieldNames dropFieldIfAllNull "
    "ignoreNullFields inferTimestamp prefersDecimal pretty primitivesAsString useUnsafeRow "
    "writeNonAsciiCharacterAsCodePoint",
    "parquet": "compression datetimeRebaseMode int96RebaseMode mergeSchema",
    "orc": "compression mergeSchema",
}


@dataclass(frozen=True)
class Output:
    """Files to write.

    Attributes:
        path: A folder.
        replace: Whether to replace the files of the folder. Otherwise it must not exist.
        options: Options of Spark's writer.
    """

    path: str
    file_format: str = "parquet"
    replace: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, file_format: str, write_mode: str, options: Mapping[str, str]) -> Output:
        """Return the files to write.

        Raises:
            UsageError: The path is empty, or the mode is not one of WRITE_ONCE.
        """
        if not path.strip():
            raise UsageError("The target is empty.", "Give a folder, or check the variable that was to hold it.")
        if write_mode not in WRITE_ONCE:
            raise UsageError(f"{write_mode!r} is not one of {', '.join(WRITE_ONCE)}.", "A result is written once.")
        return cls(path, file_format, write_mode == "overwrite", options)


WRITE_ONCE = ("error", "overwrite")
"""What to do if the folder exists that is to contain one result."""


_CHOSEN_TO_READ: Mapping[str, Mapping[str, str]] = {
    # A line break within quotes belongs to the value. A record is checked completely even if --select leaves out some
    # columns. An empty value is NULL, and "" is the empty text.
    "csv": {"multiLine": "true", "columnPruning": "false", "nullValue": NO_SUCH_TEXT},
    # Otherwise the columns are those of any one file, and what others have beside them is not read.
    "parquet": {"mergeSchema": "true"},
    "orc": {"mergeSchema": "true"},
}

_CHOSEN_TO_WRITE: Mapping[str, Mapping[str, str]] = {
    "csv": {
        "ignoreLeadingWhiteSpace": "false",
        "ignoreTrailingWhiteSpace": "false",
        "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXXXX",
        "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    },
    "json": {
        "ignoreNullFields": "false",
        "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXXXX",
        "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    },
}


def parse_options(texts: Sequence[str], file_format: str) -> dict[str, str]:
    """Parse several `--option K=V`.

    Raises:
        UsageError: One is not of that form, is repeated (in any letter case), or is unknown to Spark.
    """
    stated: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--option {text!r} is not of the form K=V.", "Write, for example, --option header=true.")
        if key.lower() in map(str.lower, stated):
            raise UsageError(f"--option {key} is repeated.", "Give it once: Spark would use the last one only.")
        _check_known(key, file_format)
        stated[key] = value
    return stated


def _check_known(key: str, file_format: str) -> None:
    """Refuse an option that Spark would ignore. Names with a dot belong to Hadoop and the formats' libraries."""
    known = {name.lower(): name for name in f"{_KNOWN[file_format]} {_FILES}".split()}
    if "." in key or key.lower() in known:
        return
    if key.lower() == "schema":
        raise UsageError("--option schema does nothing.", 'Give --schema "id INT, name STRING".')
    near = get_close_matches(key.lower(), known, 1)
    hint = f"Did you mean {known[near[0]]}?" if near else f"It has {', '.join(sorted(known.values()))}."
    raise UsageError(f"Spark has no option {key} for {file_format}.", hint)


def mode_of(stated: Mapping[str, str]) -> str:
    """Return what to do about malformed records.

    Raises:
        UsageError: There is no such mode. Spark would use its default instead.
    """
    mode = value_of(stated, "mode", FAILFAST).upper()
    if mode not in MODES:
        raise UsageError(f"--option mode={mode} is not one of Spark's modes.", f"Give one of {', '.join(MODES)}.")
    return mode


def value_of(stated: Mapping[str, str], name: str, default: str = "") -> str:
    """Return the value of an option, in any letter case."""
    return next((value for key, value in stated.items() if key.lower() == name.lower()), default)


def completed(stated: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Add default options to the given ones."""
    given = {key.lower() for key in stated}
    return {**{key: value for key, value in chosen.items() if key.lower() not in given}, **stated}


def to_read(file_format: str, stated: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a reader."""
    chosen = dict(_CHOSEN_TO_READ.get(file_format, {}))
    if file_format == "csv" and mode_of(stated) == FAILFAST:
        chosen["unescapedQuoteHandling"] = RAISE
    escape = value_of(stated, "escape")
    if file_format == "csv" and escape and escape == value_of(stated, "quote", '"'):
        chosen["charToEscapeQuoteEscaping"] = escape  # without one, Spark drops NUL from quoted values
    return completed(stated, chosen)


def to_write(file_format: str, stated: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a writer. A reader with `to_read` reads the same rows from its files."""
    return completed(stated, _CHOSEN_TO_WRITE.get(file_format, {}))


def are_headers_own(names: Sequence[str]) -> bool:
    """Return whether the columns that Spark took from a CSV header have the names in the header.

    Spark gives a number to an empty name (`_c0`), and appends numbers to names that are equal but for the letter case.
    """
    if any(name == f"_c{place}" for place, name in enumerate(names)):
        return False
    numbered = [re.sub(f"{place}$", "", name).lower() for place, name in enumerate(names) if name.endswith(str(place))]
    return len(set(numbered)) == len(numbered)
