"""The data: lineitem as Parquet from TPC-H's generator, the same rows as text for psql, and 1000 rows to warm up.

Beside it, in folders of their own, each with its 1000 rows to warm up: WIDE, a part of lineitem with its columns
repeated; TINY, only 1000 rows; and THREE, lineitem with two more tables.
"""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pyarrow.parquet import ParquetFile, read_table, write_table

from bench.tpch.names import BESIDE, PARQUET, TABLE, TEXTS, THREE, TINY, WIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_ROWS = 1000
WIDE_COLUMNS = 200
WIDE_SHARE = 20
"""One of so many of lineitem's rows is in the wide table: it has 0.6 times as many values as lineitem."""
WIDE_GROUPS = 8  # of rows, so that the wide table has parts
TEXT = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")


class Totals(NamedTuple):
    """Totals by which to recognize that a table contains the data."""

    rows: int
    price: Decimal
    keys: int

    def times(self, loads: int) -> Totals:
        """Return the totals of a table that was loaded so often."""
        return Totals(self.rows * loads, self.price * loads, self.keys * loads)


def make(folder: Path, scale: float) -> Totals:
    """Generate the missing parts of the data, and return the totals."""
    if not (folder / "complete").exists():
        generate(folder, scale, [TABLE])
        write_texts(folder)
        write_sample(folder / PARQUET, folder / "sample")
        (folder / "complete").touch()
    return totals(folder / PARQUET)


def generate(folder: Path, scale: float, tables: Sequence[str]) -> None:
    """Have TPC-H's generator write tables into a folder."""
    generator = Path(sys.prefix, "bin", "tpchgen-cli")
    options = ["--scale-factor", f"{scale:g}", "--tables", ",".join(tables), "--output-dir", str(folder), "--overwrite"]
    subprocess.run([str(generator), "parquet", *options], check=True)


def make_beside(folder: Path, name: str, scale: float = 1.0) -> Path:
    """Generate one of the folders beside lineitem if it is missing; "" stands for lineitem's own. Return its path."""
    beside = folder / name
    if name and not (beside / "complete").exists():
        beside.mkdir(exist_ok=True)
        if name == THREE:
            generate(beside, scale, BESIDE)
            add_lineitem(folder / PARQUET, beside)
        else:
            {WIDE: write_wide, TINY: write_tiny}[name](folder / PARQUET, beside / PARQUET)
            write_sample(beside / PARQUET, beside / "sample", texts=False)
        (beside / "complete").touch()
    return beside


def add_lineitem(parquet: Path, beside: Path) -> None:
    """Put lineitem beside the tables of THREE, and write the first rows of each."""
    (beside / PARQUET).unlink(missing_ok=True)
    (beside / PARQUET).symlink_to(parquet.resolve())
    for name in (TABLE, *BESIDE):
        write_sample(beside / f"{name}.parquet", beside / "sample", texts=False)


def rows_beside(folder: Path) -> dict[str, int]:
    """Return how many rows the tables beside lineitem have."""
    return {name: ParquetFile(folder / f"{name}.parquet").metadata.num_rows for name in BESIDE}


def write_wide(parquet: Path, target: Path) -> None:
    """Write a part of the rows, with lineitem's columns again and again: l_comment, ..., l_comment_2, ..."""
    whole = ParquetFile(parquet)
    rows = max(whole.metadata.num_rows // WIDE_SHARE, 1)
    table = pa.Table.from_batches(whole.iter_batches(), whole.schema_arrow).slice(0, rows)
    names = wide_names(table.column_names)
    columns = [table[number % table.num_columns] for number in range(len(names))]
    write_table(pa.table(dict(zip(names, columns))), target, row_group_size=-(-rows // WIDE_GROUPS))


def wide_names(names: Sequence[str]) -> list[str]:
    """Return the names of the wide table's columns, WIDE_COLUMNS in all."""
    rounds = -(-WIDE_COLUMNS // len(names))
    again = [f"{name}_{number}" for number in range(2, rounds + 1) for name in names]
    return [*names, *again][:WIDE_COLUMNS]


def write_tiny(parquet: Path, target: Path) -> None:
    """Write the first rows."""
    write_table(pa.Table.from_batches([first_rows(parquet)]), target)


def first_rows(parquet: Path, rows: int = SAMPLE_ROWS) -> pa.RecordBatch:
    """Return the first rows."""
    return next(ParquetFile(parquet).iter_batches(batch_size=rows))


def write_texts(folder: Path) -> None:
    """Write the rows of the Parquet file as COPY text. No value of TPC-H needs an escape."""
    file = ParquetFile(folder / PARQUET)
    schema = without_views(file.schema_arrow)
    for number, text in enumerate(TEXTS):
        with csv.CSVWriter(folder / text, schema, write_options=TEXT) as writer:
            for group in range(file.num_row_groups)[number :: len(TEXTS)]:
                writer.write_table(file.read_row_group(group).cast(schema))


def without_views(schema: pa.Schema) -> pa.Schema:
    """Return the schema with plain strings: PyArrow cannot write other ones as text."""
    return pa.schema([(one.name, pa.string() if one.type == pa.string_view() else one.type) for one in schema])


def write_sample(parquet: Path, folder: Path, *, texts: bool = True) -> None:
    """Write the first rows in the same formats, for the warm-up."""
    folder.mkdir(exist_ok=True)
    rows = first_rows(parquet)
    # Two row groups, for two connections.
    write_table(pa.Table.from_batches([rows]), folder / parquet.name, row_group_size=SAMPLE_ROWS // 2)
    if texts:
        write_texts(folder)


def totals(parquet: Path) -> Totals:
    """Compute the totals of the Parquet file."""
    columns = read_table(parquet, columns=["l_extendedprice", "l_orderkey"])
    price, keys = (pc.sum(column).as_py() for column in columns.columns)
    return Totals(columns.num_rows, price, keys)
