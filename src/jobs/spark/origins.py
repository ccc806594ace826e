"""Where a row comes from: its file, by input_file_name(), and its place in it, where Spark knows it.

A line is preceded by two fields, each ending in a tab: the hash of the file's name, which is shorter, and the number of
the row in it. After a shuffle, Spark knows no file. Only the readers of Parquet and of Iceberg know the number.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.text.parsed_text import ParsedText
from jobs.dbaccess.copy_text import parse_line
from jobs.dbaccess.load.copying.parts import Counted

_METADATA = "_metadata"
_ROW_INDEX = f"{_METADATA}.row_index"
_ICEBERGS_FILE, _ICEBERGS_ROW = "_file", "_pos"


@dataclass(frozen=True)
class Origin:
    """Where a row comes from.

    Attributes:
        file: The hash of the file's name.
        row: The number of the row in its file, from 1; None if Spark does not know it.
    """

    file: int
    row: int | None

    @classmethod
    def parse(cls, fields: bytes) -> Origin:
        """Return the origin that the fields before a line name."""
        file, row, _ = fields.split(b"\t")
        return cls(int(file), int(row) + 1 if row else None)


def with_place(df: DataFrame) -> DataFrame:
    """Return the rows with another column at the end: the number of each in its file, from 0, or NULL."""
    hidden = _hidden(df)
    if '"name":"row_index"' in hidden.get(_METADATA, ""):
        return df.select("*", f.col(_ROW_INDEX))
    if {_ICEBERGS_FILE, _ICEBERGS_ROW} <= hidden.keys():
        return df.select("*", f.col(_ICEBERGS_ROW))
    return df.select("*", f.lit(None).cast(t.LongType()))


def _hidden(df: DataFrame) -> dict[str, str]:
    """Return the columns that `*` leaves out, by their names in lower case, with their types as JSON.

    What has the name of another column, hidden or not, is left out. The plan is asked, because PySpark 4.1 logs pages
    of JSON for each AnalysisException, also for one that is caught.
    """
    output = df._jdf.queryExecution().analyzed().metadataOutput()  # noqa: SLF001 - PySpark does not list hidden columns
    columns = [output.apply(place) for place in range(output.size())]
    names = [column.name().lower() for column in columns]
    shown = {name.lower() for name in df.columns}
    return {
        name: str(column.dataType().json())
        for name, column in zip(names, columns)
        if name not in shown and names.count(name) == 1
    }


def origin_of(place: Column) -> list[Column]:
    """Return the pieces of text that precede a line."""
    file = f.xxhash64(f.input_file_name()).cast("string")
    return [file, f.lit("\t"), f.coalesce(place.cast("string"), f.lit("")), f.lit("\t")]


def file_names(df: DataFrame, hashes: Collection[int]) -> Mapping[int, str]:
    """Return the names of files by their hashes; without those that are not files of the query."""
    names = [[name] for name in _files(df)] if hashes else []
    if not names:
        return {}
    schema = t.StructType([t.StructField("name", t.StringType())])
    hashed = df.sparkSession.createDataFrame(names, schema).select("name", f.xxhash64("name").alias("hash"))
    found = hashed.where(f.col("hash").isin(*hashes)).collect()
    return {row["hash"]: row["name"] for row in found}


def _files(df: DataFrame) -> list[str]:
    """Return the names of the files of a query. Of tables of Iceberg, Spark lists none: their rows tell."""
    names = df.inputFiles()
    if names or _ICEBERGS_FILE not in _hidden(df):
        return names
    return [row[0] for row in df.select(_ICEBERGS_FILE).distinct().collect()]


@dataclass(frozen=True)
class Line:
    """A line of a part, and where its row comes from, as Spark wrote it."""

    text: bytes
    origin: bytes


Sought = Mapping["tuple[int, tuple[str | None, ...]]", int]
"""Rows that are sought: by their hash, and the texts of some columns, how many."""


@dataclass(frozen=True)
class Sighting:
    """The rows of a part that have one hash, and may have these texts.

    Attributes:
        count: How many there are.
        is_sure: Whether all have these texts for certain.
        files: The hashes of their files' names; of many files, two.
        last: The last of them, as many as are sought: the number of each in its part, from 1, and its line. If it is
            not sure, and there are several, it has none.
    """

    part: int
    hash: int
    texts: tuple[str | None, ...]
    count: int
    is_sure: bool
    files: frozenset[int]
    last: tuple[tuple[int, Line], ...] = field(repr=False)


@dataclass(frozen=True)
class Finder:
    """Finds rows of parts in their blocks, which have origins and hashes. Tasks run it.

    Attributes:
        sought: By part.
        texts: The columns whose texts tell rows apart: the place of each in a line, and its type.
        but: Rows that it is not: the part of each, and its number in it, from 1.
        with_lines: Whether the text of the lines is wanted, too.
    """

    sought: Mapping[int, Sought]
    texts: tuple[tuple[int, ParsedText], ...] = ()
    but: frozenset[tuple[int, int]] = frozenset()
    with_lines: bool = False

    def __call__(self, blocks: Iterable[Counted]) -> list[Sighting]:
        """Return the rows of the task's part."""
        task = TaskContext.get()
        if task is None:
            raise RuntimeError("this runs inside a Spark task only")
        return self.find(task.partitionId(), blocks)

    def find(self, part: int, blocks: Iterable[Counted]) -> list[Sighting]:
        """Return the rows of a part."""
        sought = self.sought[part]
        hashes = {one for one, _ in sought}
        seen = {key: _Seen(number) for key, number in sought.items()}
        unsure = {one: _Seen(1) for one in hashes}
        before = 0
        for counted in blocks:
            of_rows = struct.unpack(f"!{counted.rows}q", counted.row_hashes)
            if not hashes.isdisjoint(of_rows):
                lines = bytes(counted.block).split(b"\n")
                for place, one in enumerate(of_rows):
                    if one in hashes and (part, before + place + 1) not in self.but:
                        texts = self._texts(lines[place])
                        group = unsure[one] if texts is None else seen.get((one, texts))
                        if group is not None:
                            line = lines[place] + b"\n" if self.with_lines else b""
                            group.add(before + place + 1, Line(line, counted.origins[place]))
            before += counted.rows
        found = [seen[key].sighting(part, key, unsure[key[0]]) for key in sought]
        return [one for one in found if one.count]

    def _texts(self, line: bytes) -> tuple[str | None, ...] | None:
        """Return the texts of a line as the server writes them; None if that is not certain."""
        if not self.texts:
            return ()
        values = parse_line(line)
        texts: list[str | None] = []
        for place, parsed in self.texts:
            sent = values[place] if place < len(values) else None
            written = None if sent is None else parsed.written(sent)
            if sent is not None and written is None:
                return None
            texts.append(written)
        return tuple(texts)


class _Seen:
    """Rows of a group, as far as they were read."""

    def __init__(self, sought: int) -> None:
        self.count = 0
        self.files: set[int] = set()
        self.last: deque[tuple[int, Line]] = deque(maxlen=sought)

    def add(self, place: int, line: Line) -> None:
        self.count += 1
        self.last.append((place, line))
        if len(self.files) <= 1:
            self.files.add(Origin.parse(line.origin).file)

    def sighting(self, part: int, key: tuple[int, tuple[str | None, ...]], unsure: _Seen) -> Sighting:
        """Return the group, with the rows of the same hash that may belong to it."""
        count, files = self.count + unsure.count, frozenset(self.files | unsure.files)
        last = (*self.last, *unsure.last) if not unsure.count or count == 1 else ()
        hash_, texts = key
        return Sighting(part, hash_, texts, count, is_sure=not unsure.count, files=files, last=last)
