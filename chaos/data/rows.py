"""The rows of a trial: as a load's Parquet files, and as the judge expects them in the table."""

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

from chaos.plan.draw import DELETED, LEAVES_WINDOW, LEFT_OUT, OVERLAP, ROWS, UNTOUCHED, Trial
from chaos.plan.flows import PARTITIONS

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
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


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
        maybe(_EPOCH + timedelta(microseconds=choose.randrange(-(10**15), 10**15))),
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


def first_old(trial: Trial) -> int:
    """Return the lowest id of the rows that a table has before. Those of an append have no key of a loaded row."""
    return ROWS if trial.mode == "append" else ROWS - OVERLAP


def old_ids(trial: Trial) -> list[range]:
    """Return the ids of the rows that a table has before."""
    ids = [range(first_old(trial), ROWS + OVERLAP)]
    return [*ids, range(UNTOUCHED, UNTOUCHED + OVERLAP)] if trial.flow == PARTITIONS else ids


def insert_old(trial: Trial) -> str:
    """Return the SQL that inserts the rows that a table has before."""
    series = " UNION ALL ".join(f"SELECT generate_series({ids.start}, {ids.stop - 1})" for ids in old_ids(trial))
    return (
        "INSERT INTO target SELECT id, DATE '2020-01-01', 'old ' || id, 1.50, to_timestamp(id), '\\x00', '{old}' "
        f"FROM ({series}) AS ids (id)"
    )


def old(trial: Trial) -> list[Row]:
    """Return the same rows."""
    if trial.target == "new":
        return []
    return [
        (key, date(2020, 1, 1), f"old {key}", Decimal("1.50"), _EPOCH + timedelta(seconds=key), b"\0", ["old"])
        for ids in old_ids(trial)
        for key in ids
    ]


def after(trial: Trial, rows: list[Row], before: list[Row]) -> list[Row]:
    """Return the rows of a table after the load was published.

    Args:
        trial: The trial.
        rows: The rows of the load.
        before: The rows of the table.
    """
    if trial.scripts:
        before = [row for row in before if row[0] != LEAVES_WINDOW]
        return [row for row in _moved(trial, rows, before) if row[0] != LEFT_OUT]
    return _moved(trial, rows, before)


def _moved(trial: Trial, rows: list[Row], before: list[Row]) -> list[Row]:
    if trial.mode == "overwrite" and not trial.slice:
        return rows
    if trial.changes:
        return [row for row in rows if row[0] % DELETED != 1]
    if trial.flow == PARTITIONS:
        return rows + [row for row in before if row[0] >= UNTOUCHED]
    if trial.mode in ("upsert", "overwrite"):
        return rows + [row for row in before if row[0] >= ROWS]
    if trial.mode == "ignore":
        old_ids = {row[0] for row in before}
        return before + [row for row in rows if row[0] not in old_ids]
    return before + rows


def as_json(rows: Iterable[Row]) -> list[list[Any]]:
    """Return rows as `AS_JSON` prints them, ordered by id."""
    microsecond = timedelta(microseconds=1)
    return [
        [
            key,
            day and day.isoformat(),
            name,
            None if amount is None else str(amount),
            None if at is None else (at - _EPOCH) // microsecond,
            None if data is None else data.hex(),
            tags,
        ]
        for key, day, name, amount, at, data, tags in sorted(rows, key=lambda row: row[0])
    ]
