"""The folder of each table below the target of an extract of many tables: `<schema>/<table>`.

Of a name, letters that file systems, Hadoop's paths or Spark give a meaning are `%` and two hexadecimal digits, as in
the folders of Hive's partitions. So each folder belongs to one name, and `urllib.parse.unquote` returns that name.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from jobs.dbaccess.sql import TableName

# Characters that Spark escapes in the values of folder names, and unescapes when it reads them.
_UNSAFE = re.compile(r"[\x00-\x1f\"#%'*/:=?\\\x7f{\[\]^]")

# Readers take files and folders that begin with these for hidden ones.
_HIDDEN = re.compile(r"^[._]")


def escaped(text: str) -> str:
    """Return a text as a part of a folder's name."""
    return _UNSAFE.sub(_hexadecimal, text)


def _hexadecimal(letter: re.Match[str]) -> str:
    return f"%{ord(letter[0]):02X}"


def folder_of(table: TableName) -> str:
    """Return the folder of a table that has a schema, relative to the target."""
    return "/".join(_HIDDEN.sub(_hexadecimal, escaped(name)) for name in (table.schema or "", table.name))


def table_of(folder: str) -> TableName:
    """Return the table of a folder: the inverse of `folder_of`."""
    schema, name = folder.split("/")
    return TableName(unquote(name), unquote(schema))
