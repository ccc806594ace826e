"""The rows of a load: made from the seed, written as Parquet files or SQL, and as psql prints them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chaos.plan.ids import ROWS
from chaos.plan.trial import Trial

FILES = 4

COLUMNS = "id bigint NOT NULL, day date, name text, amount numeric(12,2), at timestamptz, data bytea, tags text[]"

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("day", pa.date32()),
        ("name", pa.string()),
        ("amount", pa.decimal128(12, 2)),
        ("at", pa.timestamp("us", "UTC")),
        ("data", pa.binary()),
        ("tags", pa.list_(pa.string())),
    ]
)

AS_JSON = (
    "json_build_array(id, day, name, amount::text, (extract(epoch FROM at) * 1000000)::bigint, "
    "encode(data, 'hex'), tags)"
)
"""A row as psql prints it: one line, every value exact."""

Row = tuple[Any, ...]

WORDS = (
    "plain",
    "tab\there",
    "line\nbreak",
    "back\\slash",
    "\\N",
    '"quoted"',
    "",
    "naïve ☃ 🙂",
    "\r",
    "{a,b}",
    "NULL",
)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def loaded(trial: Trial, count: int = ROWS) -> list[Row]:
    """Return the rows of a load's input."""
    choose = random.Random(trial.seed)  # noqa: S311 - repeatable values, and no secret
    return [row(choose, number) for number in range(count)]


def row(choose: random.Random, number: int) -> Row:
    """Return a row of this id."""

    def maybe(value: object) -> object | None:
        return None if choose.random() < 0.1 else value  # noqa: PLR2004 - a tenth of all values are NULL

    return (
        number,
        maybe(date(1970, 1, 1) + timedelta(days=choose.randrange(-30_000, 30_000))),
        maybe(f"{choose.choice(WORDS)} {number}"),
        maybe(Decimal(choose.randrange(-(10**11), 10**11)).scaleb(-2)),
        maybe(EPOCH + timedelta(microseconds=choose.randrange(-(10**15), 10**15))),
        maybe(choose.randbytes(choose.randrange(8))),
        maybe([choose.choice((*WORDS, None)) for _ in range(choose.randrange(3))]),
    )


def write(folder: Path, rows: list[Row]) -> None:
    """Write rows as several Parquet files."""
    folder.mkdir(parents=True)
    size = -(-len(rows) // FILES)
    for number in range(FILES):
        piece = rows[number * size : (number + 1) * size]
        columns = [pa.array(values, field.type) for values, field in zip(zip(*piece), SCHEMA)]
        pq.write_table(pa.table(columns, SCHEMA), folder / f"{number}.parquet")


def inserts(rows: list[Row], table: str) -> Iterator[str]:
    """Yield statements that insert rows, each short enough for a command line."""
    for start in range(0, len(rows), _AT_ONCE):
        texts = [
            [
                *(key, day and day.isoformat(), name, None if amount is None else str(amount)),
                *(at and at.isoformat(), None if data is None else data.hex(), tags),
            ]
            for key, day, name, amount, at, data, tags in rows[start : start + _AT_ONCE]
        ]
        literal = json.dumps(texts, ensure_ascii=False).replace("'", "''")
        yield f"INSERT INTO {table} SELECT {_OF_JSON} FROM json_array_elements('{literal}') AS of (row)"


_AT_ONCE = 400

_OF_JSON = (
    "(row->>0)::bigint, (row->>1)::date, row->>2, (row->>3)::numeric, (row->>4)::timestamptz, decode(row->>5, 'hex'), "
    "CASE WHEN json_typeof(row->6) = 'array' THEN ARRAY(SELECT json_array_elements_text(row->6)) END"
)


def as_json(rows: Iterable[Row]) -> list[list[Any]]:
    """Return rows as `AS_JSON` prints them, ordered by id."""
    microsecond = timedelta(microseconds=1)
    return [
        [
            key,
            day and day.isoformat(),
            name,
            None if amount is None else str(amount),
            None if at is None else (at - EPOCH) // microsecond,
            None if data is None else data.hex(),
            tags,
        ]
        for key, day, name, amount, at, data, tags in sorted(rows, key=lambda row: row[0])
    ]
