"""The options of Spark's readers and writers of files: which there are, and those that are chosen where none is given.

https://spark.apache.org/docs/latest/sql-data-sources-csv.html#data-source-option, and likewise for the other formats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from jobs.dbaccess.errors import UsageError

FAILFAST, PERMISSIVE, DROPMALFORMED = MODES = ("FAILFAST", "PERMISSIVE", "DROPMALFORMED")
"""What a reader does about a malformed record: fail, put NULL in place of what it cannot read, or leave it out."""

PARSED = ("csv", "json")
"""Formats whose records can be malformed, and which do not state their columns' types."""

NO_SUCH_TEXT = "\0pgjobs NULL\0"
"""Stands for NULL in a CSV reader: PostgreSQL's text holds no NUL, so that no value is this one."""

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

_CHOSEN_TO_READ: Mapping[str, Mapping[str, str]] = {
    # A line break within quotes belongs to the value; a record is to be checked whole, also where --select leaves out
    # columns; an empty value is NULL and "" is the empty text; a quote that is not escaped would stay in its value.
    "csv": {"multiLine": "true", "columnPruning": "false", "nullValue": NO_SUCH_TEXT},
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
    """What several `--option K=V` state.

    Raises:
        UsageError: one is not of that form, stands twice (in letters of any case), or is unknown to Spark.
    """
    stated: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--option {text!r} is not of the form K=V.", "Write, for example, --option header=true.")
        if key.lower() in map(str.lower, stated):
            raise UsageError(f"--option {key} stands twice.", "Give it once: Spark would take the last one only.")
        _check_known(key, file_format)
        stated[key] = value
    return stated


def _check_known(key: str, file_format: str) -> None:
    """Refuse what Spark would pass over. Names with a dot are settings of Hadoop's and of the formats' libraries."""
    known = {name.lower(): name for name in f"{_KNOWN[file_format]} {_FILES}".split()}
    if "." in key or key.lower() in known:
        return
    if key.lower() == "schema":
        raise UsageError("--option schema does nothing.", 'Give --schema "id INT, name STRING".')
    near = get_close_matches(key.lower(), known, 1)
    hint = f"Did you mean {known[near[0]]}?" if near else f"It has {', '.join(sorted(known.values()))}."
    raise UsageError(f"Spark has no option {key} for {file_format}.", hint)


def mode_of(stated: Mapping[str, str]) -> str:
    """What to do about malformed records.

    Raises:
        UsageError: there is no such mode; Spark would take another one for it.
    """
    mode = value_of(stated, "mode", FAILFAST).upper()
    if mode not in MODES:
        raise UsageError(f"--option mode={mode} is none of Spark's modes.", f"Give one of {', '.join(MODES)}.")
    return mode


def value_of(stated: Mapping[str, str], name: str, default: str = "") -> str:
    """The value of an option, whatever the case of its letters."""
    return next((value for key, value in stated.items() if key.lower() == name.lower()), default)


def completed(stated: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Options with those that are chosen where they were not stated."""
    given = {key.lower() for key in stated}
    return {**{key: value for key, value in chosen.items() if key.lower() not in given}, **stated}


def to_read(file_format: str, stated: Mapping[str, str]) -> dict[str, str]:
    """The options of a reader."""
    chosen = dict(_CHOSEN_TO_READ.get(file_format, {}))
    if file_format == "csv" and mode_of(stated) == FAILFAST:
        chosen["unescapedQuoteHandling"] = "RAISE_ERROR"
    return completed(stated, chosen)


def to_write(file_format: str, stated: Mapping[str, str]) -> dict[str, str]:
    """The options of a writer, whose files a reader with `to_read` gives back as they were."""
    return completed(stated, _CHOSEN_TO_WRITE.get(file_format, {}))


def are_headers_own(names: Sequence[str]) -> bool:
    """Whether the columns that Spark took from a CSV header have the header's own names.

    It gives empty ones a number (`_c0`), and appends numbers to those that are there twice in letters of any case.
    """
    if any(name == f"_c{place}" for place, name in enumerate(names)):
        return False
    numbered = [re.sub(f"{place}$", "", name).lower() for place, name in enumerate(names) if name.endswith(str(place))]
    return len(set(numbered)) == len(numbered)
