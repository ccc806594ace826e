from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow.parquet import ParquetFile, write_table

from bench.machine.address import Server
from bench.tpch import files
from bench.tpch.names import BESIDE, PARQUET, TEXTS, TINY, WIDE
from bench.ways.task import Task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data, of four rows in two groups."""
    columns = {
        "l_orderkey": pa.array([1, 2, 3, 4]),
        "l_extendedprice": pa.array([Decimal("0.10"), Decimal("0.20"), Decimal("-1.00"), Decimal("5.00")]),
        "l_shipdate": pa.array([dt.date(1998, 12, 1)] * 4),
        "l_comment": pa.array(["a b", "it's", "c, d", "e"], pa.string_view()),
    }
    write_table(pa.table(columns), tmp_path / PARQUET, row_group_size=2)
    return tmp_path


def test_the_totals_are_exact(folder: Path) -> None:
    assert files.totals(folder / PARQUET) == (4, Decimal("4.30"), 10)


def test_the_texts_hold_each_row_once_as_copy_reads_it(folder: Path) -> None:
    files.write_texts(folder)
    assert [(folder / text).read_text() for text in TEXTS] == [
        "1\t0.10\t1998-12-01\ta b\n2\t0.20\t1998-12-01\tit's\n",
        "3\t-1.00\t1998-12-01\tc, d\n4\t5.00\t1998-12-01\te\n",
    ]


def test_the_sample_has_the_same_columns_in_the_same_forms(folder: Path) -> None:
    files.write_sample(folder / PARQUET, folder / "sample")
    assert (
        ParquetFile(folder / "sample" / PARQUET).schema_arrow.names == ParquetFile(folder / PARQUET).schema_arrow.names
    )
    assert all((folder / "sample" / text).exists() for text in TEXTS)


@pytest.mark.parametrize(("name", "columns"), [("", 4), (WIDE, files.WIDE_COLUMNS), (TINY, 4)])
def test_each_folder_of_data_has_rows_and_a_sample(folder: Path, name: str, columns: int) -> None:
    files.write_sample(folder / PARQUET, folder / "sample")
    for _ in range(2):  # what exists is left alone
        beside = files.make_beside(folder, name)
    assert beside == folder / name
    for path in (beside / PARQUET, beside / "sample" / PARQUET):
        file = ParquetFile(path)
        assert file.metadata.num_rows >= 1
        assert len(set(file.schema_arrow.names)) == columns


def test_the_tables_beside_lineitem_have_rows_and_a_sample(folder: Path) -> None:
    for rows, name in enumerate(BESIDE, 2):
        (folder / "three").mkdir(exist_ok=True)
        write_table(pa.table({"key": list(range(rows))}), folder / "three" / f"{name}.parquet")
    for _ in range(2):  # if it was interrupted
        files.add_lineitem(folder / PARQUET, folder / "three")
    assert files.rows_beside(folder / "three") == {"customer": 2, "orders": 3}
    task = Task(Server("127.0.0.1", 5432, "me", "db"), "lineitem", str(folder / "three"), "psql")
    sample = replace(task, table="warm_up", folder=f"{task.folder}/sample")
    assert [ParquetFile(path).metadata.num_rows for path in task.three.values()] == [2, 3, 4]
    assert [ParquetFile(path).metadata.num_rows for path in sample.three.values()] == [2, 3, 4]
    assert list(sample.three) == ["warm_up_customer", "warm_up_orders", "warm_up"]


def test_the_wide_table_begins_with_the_columns_of_lineitem() -> None:
    names = files.wide_names(["a", "b", "c"])
    assert (names[:5], len(names)) == (["a", "b", "c", "a_2", "b_2"], files.WIDE_COLUMNS)


def test_the_totals_of_several_loads_are_the_sums() -> None:
    assert files.Totals(2, Decimal("0.10"), 3).times(10) == (20, Decimal("1.00"), 30)
