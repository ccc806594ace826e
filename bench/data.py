"""The data: lineitem as Parquet from TPC-H's generator, the same rows as text for psql, and 1000 rows to warm up."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pyarrow.parquet import ParquetFile, read_table, write_table

from bench.plan import PARQUET, TABLE, TEXTS

SAMPLE_ROWS = 1000
TEXT = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")


class Totals(NamedTuple):
    """Totals by which to recognize that a table contains the data."""

    rows: int
    price: Decimal
    keys: int


def make(folder: Path, scale: float) -> Totals:
    """Generate the missing parts of the data, and return the totals."""
    if not (folder / "complete").exists():
        generator = Path(sys.prefix, "bin", "tpchgen-cli")
        options = ["--scale-factor", f"{scale:g}", "--tables", TABLE, "--output-dir", str(folder), "--overwrite"]
        subprocess.run([str(generator), "parquet", *options], check=True)
        write_texts(folder)
        write_sample(folder / PARQUET, folder / "sample")
        (folder / "complete").touch()
    return totals(folder / PARQUET)


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


def write_sample(parquet: Path, folder: Path) -> None:
    """Write the first rows in the same formats, for the warm-up."""
    folder.mkdir(exist_ok=True)
    rows = next(ParquetFile(parquet).iter_batches(batch_size=SAMPLE_ROWS))
    # Two row groups, for two connections.
    write_table(pa.Table.from_batches([rows]), folder / PARQUET, row_group_size=SAMPLE_ROWS // 2)
    write_texts(folder)


def totals(parquet: Path) -> Totals:
    """Compute the totals of the Parquet file."""
    columns = read_table(parquet, columns=["l_extendedprice", "l_orderkey"])
    price, keys = (pc.sum(column).as_py() for column in columns.columns)
    return Totals(columns.num_rows, price, keys)
