"""CSV files in UTF-8, read byte for byte. Spark's own reader puts U+FFFD in place of bytes that are not UTF-8.

It is told that the files are in ISO-8859-1, in which each byte is a character of the same number. So the characters of
a value are its bytes, which become the string. Bytes that are not UTF-8 reach the server, which refuses them, or
`spark.nul`, as from any other source. Texts of options and names of columns are given to the reader in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pyspark.sql import DataFrame

from jobs.copyformat.write_types import by_bytes, is_string

ENCODING = "ISO-8859-1"
BOM = "\ufeff"

_NAMES = ("encoding", "charset")
"""The option, and its other name."""

_TEXTS = (
    *("sep", "delimiter", "linesep", "nullvalue", "emptyvalue", "nanvalue", "positiveinf", "negativeinf"),
    *("dateformat", "timestampformat", "timestampntzformat"),
)
_CHARACTERS = ("quote", "escape", "comment", "chartoescapequoteescaping")
"""Options of one character, in small letters. One that is not ASCII would be several bytes."""


def options_for(stated: Mapping[str, str]) -> dict[str, str]:
    """Return the options by which the reader reads bytes; empty if it has to decode the files itself.

    It has to if they are in another encoding, or if it has to find a character, or names of months, that are not ASCII.
    """
    options = {name.lower(): value for name, value in stated.items()}
    encoding = next((options[name] for name in _NAMES if name in options), "UTF-8")
    if encoding.upper().replace("-", "") != "UTF8" or {"locale", "singlevariantcolumn"} & options.keys():
        return {}
    if not all(options.get(name, "").isascii() for name in _CHARACTERS):
        return {}
    texts = {name: as_bytes(value) for name, value in stated.items() if name.lower() in _TEXTS}
    return {**texts, next((name for name in stated if name.lower() in _NAMES), _NAMES[0]): ENCODING}


def as_bytes(text: str) -> str:
    """Return a text as the reader sees it in a file in UTF-8."""
    return text.encode().decode(ENCODING)


def as_text(read: str) -> str | None:
    """Return what the reader sees as a text; None if its bytes are not UTF-8."""
    try:
        return read.encode(ENCODING).decode()
    except UnicodeDecodeError:
        return None


def decoded(df: DataFrame, of_folders: Collection[str], *, without_bom: bool) -> DataFrame:
    """Return the rows with strings in place of their bytes.

    Args:
        df: The rows as they were read.
        of_folders: Columns that are not read from files.
        without_bom: Whether a BOM at the beginning of the first column is no part of the value.
    """
    names = df.columns
    placed = df.toDF(*[f"c{place}" for place in range(len(names))])
    columns = []
    for place, (name, field) in enumerate(zip(names, df.schema)):
        text = f"c{place}"
        if is_string(field.dataType) and name not in of_folders:
            if by_bytes(field.dataType) != field.dataType:  # encode and length follow no collation
                text = f"CAST({text} AS STRING)"
            columns.append(f"{_decoded(text, without_bom=without_bom and place == 0)} AS c{place}")
        else:
            columns.append(text)
    rows = placed.selectExpr(*columns)
    for place, field in enumerate(df.schema):
        if field.metadata:
            rows = rows.withMetadata(f"c{place}", field.metadata)
    return rows.toDF(*names)


def _decoded(text: str, *, without_bom: bool) -> str:
    """Return SQL for a string. Most values are ASCII, and need not be converted."""
    octets = f"CAST(encode({text}, '{ENCODING}') AS STRING)"
    value = f"CASE WHEN octet_length({text}) = length({text}) THEN {text} ELSE {octets} END"
    if not without_bom:
        return value
    mark = as_bytes(BOM)
    return f"CASE WHEN startswith({text}, '{mark}') THEN substring({octets}, 2) ELSE {value} END"


def begin_with_bom(df: DataFrame) -> bool:
    """Return whether the first file begins with the BOM of UTF-8, also if it is compressed."""
    jvm: Any = df.sparkSession.sparkContext._jvm  # noqa: SLF001 - PySpark has no public access to files
    files = df._jdf.inputFiles()  # noqa: SLF001 - PySpark would transfer all names
    if not len(files):
        return False
    path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(files[0]))
    conf = df.sparkSession.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - see above
    try:
        stream = jvm.org.apache.spark.sql.execution.datasources.CodecStreams.createInputStream(conf, path)
        try:
            return [stream.read() for _ in BOM.encode()] == list(BOM.encode())
        finally:
            stream.close()
    except Exception:  # noqa: BLE001 - of whatever kind: the reader will say why the file cannot be read
        return False
