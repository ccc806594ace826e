"""What Spark's errors say of files, in a sentence that names the file, says what to do, and shows no value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.dbaccess.errors import JobError, LoadError, UsageError
from jobs.spark.sources.nanoseconds import MARK as NANOSECONDS

MARK = "pgjobs: malformed record in "
"""How our own error for a malformed record begins, which the query raises."""

_ANCIENT = "READ_ANCIENT_DATETIME"

_NOT_MERGED = ("CANNOT_MERGE_SCHEMAS", "Failed merging schema", "CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE")
"""In Spark's messages for files whose schemas cannot be merged."""

_GONE = re.compile(
    r"SparkFileNotFoundException: File (\S+) does not exist|FILE_NOT_EXIST\] \D*?reading file (\S+?)\.?\s+File does not"
)
"""In Spark's messages for a file that was there when they were listed: of 3.5, and of 4."""

_EXPIRED = re.compile(
    r"^Cannot find (snapshot with ID \d+)|iceberg\.exceptions\.NotFoundException: [^:\n]*: (\S+)", re.MULTILINE
)
"""In Iceberg's messages for a snapshot, or a file of one, that was there when the table was looked up."""

_READ = re.compile(r"(?:reading file|CSV file:|footer for file:|converted in file) (\S+?)\.?(?:\s|$)")
"""How Spark's messages name the file."""

_CUT_SHORT = ("Unexpected end of input stream", "Unexpected end of ZLIB", "Truncated source", "premature EOF")
_NOT_COMPRESSED = ("not a gzip file", "incorrect header check", "Unknown frame descriptor", "not a bzip2", "BZip2")
_DAMAGED = (
    "CRC does not match",
    "size does not match",
    "incorrect data check",
    "invalid stored block",
    "invalid block",
)
_NOT_PARQUET = ("is not a Parquet file", "is not a valid Parquet File", "Could not read footer")
_NOT_ORC = ("Malformed ORC file",)
_CODEC = re.compile(r"Class \S*?(\w+?)Codec was not found")


@dataclass(frozen=True)
class UnreadableType:
    """A type of Parquet's that Spark cannot read.

    Attributes:
        name: As Spark names it.
        pattern: Which types of a footer are meant, as a regular expression.
        hint: What to do.
    """

    name: str
    pattern: str
    hint: str

    @property
    def is_nanoseconds(self) -> bool:
        """Whether it is one of timestamps."""
        return self.name.startswith("TIMESTAMP(NANOS")


def file_error(message: str) -> JobError | None:
    """Return what Spark's message says of records, schemas or files, or None if it concerns something else."""
    file = _READ.search(message)
    where = f" of {file.group(1)}" if file else ""
    own = _marked(message) or _record_error(message, where) or _schema_error(message, where)
    if own or file:
        return own or (_broken_file(message, file.group(1)) if file else None)
    is_parsers = any(parser in message for parser in _QUOTING)  # Spark 3.5, and inference, name no file in these
    broken = _broken_data(_SOME_FILE, message) if is_parsers else None
    return broken or (_unread(_SOME_FILE) if _OF_CSV in message else None)


def _marked(message: str) -> LoadError | None:
    """Return the error that a query of ours has raised, or that for a file or a snapshot that is gone."""
    gone = _GONE.search(message)
    if gone:
        return LoadError(
            f"A file of the input is gone: {gone[1] or gone[2]}.",
            "Nothing was loaded. Somebody has replaced or removed files during the load. Run it again to read those "
            "that are there now.",
        )
    expired = _EXPIRED.search(message)
    if expired:
        return LoadError(
            f"What was read of a table of Iceberg is gone: {expired[1] or expired[2]}.",
            "Nothing was loaded. Somebody has expired snapshots, or replaced the table, during the load. Run it again.",
        )
    marked = re.search(rf"{MARK}(\w+:/\S*)", message)  # a plan that Spark shows contains the mark, but no file
    if marked:
        return LoadError(
            f"A record of {marked.group(1)} is malformed: it has too many or too few fields, a value of another type, "
            "or is broken.",
            "Nothing was loaded. Correct the file, or give --option mode=DROPMALFORMED to leave such records out.",
        )
    nanoseconds = re.search(rf"{NANOSECONDS}(.+?) of (\w+:/\S*)", message)
    if nanoseconds:
        return LoadError(
            f"The column {nanoseconds.group(1)} of {nanoseconds.group(2)} has nanoseconds, and PostgreSQL has "
            "microseconds.",
            "Nothing was loaded. Round the values when they are written (pandas: dt.floor('us')), or read them as "
            "numbers, by --conf spark.sql.legacy.parquet.nanosAsLong=true.",
        )
    return None


def _record_error(message: str, where: str) -> LoadError | None:
    """Return what Spark's message says of a record, or of a header."""
    if "Unescaped quote character" in message or "following quoted value of CSV field" in message:
        return LoadError(
            f"A quoted value{where} holds a quote that is not escaped.",
            "Nothing was loaded. Correct the file, or give --option 'escape=\"' if quotes are doubled in all files, "
            "--option 'escape=\\' if a backslash escapes them, or --option unescapedQuoteHandling=STOP_AT_DELIMITER to "
            "load such values unchanged.",
        )
    if "CSV header does not conform" in message or "Number of column in CSV header" in message:
        return LoadError(
            f"The header{where} does not name the columns that are expected, in their order.",
            "Nothing was loaded. Give --schema with the header's names, load files of different headers one by one, or "
            "give --option enforceSchema=true to use only the order.",
        )
    if "MALFORMED_RECORD_IN_PARSING" in message or "MALFORMED_CSV_RECORD" in message:
        return LoadError(f"A record{where} is malformed.", "Nothing was loaded. Correct the file.")
    return None


def messages(error: Exception) -> str:
    """Return the messages of an error of Spark's and of its causes, the innermost one last."""
    texts, cause = [str(error)], getattr(error, "java_exception", None)
    while cause is not None:
        texts.append(str(cause.toString()))
        cause = cause.getCause()
    return "\n".join(texts)


def is_of_unknown_calendar(message: str) -> bool:
    """Return whether a file does not say how its old dates are to be read."""
    return _ANCIENT in message


def unknown_calendar(file: str) -> LoadError:
    """Return the error for such a file, whose name may be unknown."""
    return LoadError(
        f"{file or 'A Parquet file'} has dates before 1582-10-15, or timestamps before 1900, and does not say by "
        "which calendar they were written.",
        "Nothing was loaded. Give --option datetimeRebaseMode=CORRECTED for files of Arrow, pandas or DuckDB, or "
        "=LEGACY for those of Hive, Impala or Spark 2; for timestamps of the type INT96, --option int96RebaseMode "
        "likewise.",
    )


def unreadable_type(message: str) -> UnreadableType | None:
    """Return the type of a Parquet column that Spark's message says it cannot read, or None."""
    illegal = re.search(r"(?:Illegal|Unrecognized|not yet supported) ?(?:Parquet type)?: \S+ \((.+)\)\.", message)
    if illegal:
        name = illegal.group(1)
        hint = next((hint for start, hint in _HINTS.items() if name.startswith(start)), _OTHERWISE)
        return UnreadableType(name, f"^{re.escape(name)}$", hint)
    if "UNSUPPORTED_TIME_TYPE" in message:
        return UnreadableType("TIME(MICROS,false)", r"^TIME\(MICROS,false\)$", _HINTS["TIME("])
    if re.search(r"[Dd]ecimal precision \d+ exceeds max(?:imum)? precision", message):
        return UnreadableType("DECIMAL of more than 38 digits", r"^DECIMAL\((?:39|[4-9]\d|\d{3,}),", _DIGITS)
    return None


_DIGITS = "Write them as text, which PostgreSQL parses as numeric."
_OTHERWISE = "Write them as columns of another type, or as text."
_HINTS = {
    "TIMESTAMP(NANOS": "Write microseconds, which is what PostgreSQL has (pandas: to_parquet(..., "
    "coerce_timestamps='us')). Or have Spark read numbers, with --conf spark.sql.legacy.parquet.nanosAsLong=true, and "
    'make timestamps of them: --select "SELECT timestamp_micros(at DIV 1000) AS at, ... FROM source".',
    "TIME(": "Write text. (Spark 4.1 reads microseconds without a time zone, TIME(MICROS,false), with --conf "
    "spark.sql.timeType.enabled=true.)",
    "UNKNOWN": "Write a type, although the column has no values (pandas: astype('string')).",
}


def unreadable_columns(file: str, columns: tuple[str, ...], kind: UnreadableType) -> LoadError:
    """Return the error for columns of a type that Spark cannot read."""
    return LoadError(
        f"{file} has columns of a type that Spark cannot read, {kind.name}: {', '.join(columns)}.",
        f"Nothing was loaded. {kind.hint}",
    )


def _broken_file(message: str, file: str) -> LoadError:
    """Return what is wrong with a file as a whole."""
    codec = _CODEC.search(message)
    if codec:
        return LoadError(
            f"{file} is compressed by {codec.group(1)}, which this Spark cannot read.",
            "Nothing was loaded. Write it by zstd, snappy or gzip, or add a jar of the codec.",
        )
    broken = _broken_data(file, message)
    if broken:
        return broken
    for signs, sentence, hint in (
        (_NOT_PARQUET, "is not a Parquet file, or is cut short", _ANOTHER_FORMAT.format("parquet")),
        (_NOT_ORC, "is not an ORC file, or is cut short", _ANOTHER_FORMAT.format("orc")),
    ):
        if any(sign in message for sign in signs):
            return LoadError(f"{file} {sentence}.", f"Nothing was loaded. {hint}")
    if any(parser in message for parser in _QUOTING):
        return _unread(file)
    reason = message.strip().splitlines()[-1]
    return LoadError(f"{file} cannot be read: {reason.rstrip('.')}.", "Nothing was loaded.")


def _unread(file: str) -> LoadError:
    """Return the error for a file of which a parser has said, with the file's own text, why it cannot be read."""
    return LoadError(f"{file} cannot be read.", "Nothing was loaded. --verbose shows why, and may quote the file.")


def _broken_data(file: str, message: str) -> LoadError | None:
    """Return what is wrong with a file's compressed data, or None."""
    for signs, sentence, hint in (
        (_CUT_SHORT, "is cut short: its compressed data ends too early", "Copy or write it again."),
        (_NOT_COMPRESSED, "is not compressed as its name says", "Rename it."),
        (_DAMAGED, "is damaged: its checksums do not match", "Copy or write it again."),
    ):
        if any(sign in message for sign in signs):
            return LoadError(f"{file} {sentence}.", f"Nothing was loaded. {hint}")
    return None


_QUOTING = ("univocity", "jackson", "BadRecordException")
"""In messages of parsers, which quote what they read."""

_OF_CSV = "univocity.parsers.common.TextParsingException"
"""The error of the parser of CSV, such as for more columns than maxColumns."""

_SOME_FILE = "A file of the input"

_ANOTHER_FORMAT = (
    "Name its format (--format csv, for example), write it again, or leave it out: --option pathGlobFilter='*.{}' "
    "reads only files of such names."
)


def _schema_error(message: str, where: str) -> JobError | None:
    """Return what Spark's message says of the columns of files, or None if it concerns something else."""
    if any(text in message for text in _NOT_MERGED):
        return LoadError(
            "The files have columns of the same name whose types cannot be merged.",
            "Nothing was loaded. Load the files of each type by a load of their own. (--option mergeSchema=false takes "
            "the columns of one file for those of all.)",
        )
    alike = re.search(r"COLUMN_ALREADY_EXISTS\] The column (`.+?`) already exists", message)
    if alike:
        name = alike.group(1).replace("`", "")
        return LoadError(
            f"The data has columns, or fields of a struct, whose names differ in case alone: {name}.",
            "Nothing was loaded. Spark tells them apart with --conf spark.sql.caseSensitive=true.",
        )
    if "PARQUET_COLUMN_DATA_TYPE_MISMATCH" in message or "Parquet column cannot be converted" in message:
        return LoadError(
            f"A column{where} has another type than in the other files.",
            "Nothing was loaded. Load the files of each type by a load of their own.",
        )
    if "UNABLE_TO_INFER_SCHEMA" in message:
        return UsageError(
            "There is no file to read, or none with rows.",
            "Files whose names begin with an underscore or a dot do not count, nor do those of subfolders, unless "
            "--option recursiveFileLookup=true is given.",
        )
    return None
