"""The first copy of a capture into files is read in several parts, which have the rows that one query would have."""

from __future__ import annotations

import pytest

from jobs.dbaccess.capture import captured, changes, column_types, file_keys, install
from jobs.dbaccess.capture.file_keys import FileBatch
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.capture.files import plan_batch

COLUMNS = 'id int, "a ""b" numeric(8,2), c text, n bigint, PRIMARY KEY (id, "a ""b")'
ROWS = "SELECT g, g / 4.0, repeat('x', 100), g % 7 FROM generate_series(1, 2000) g"


def batch_of(session: Session, condition: str = "") -> FileBatch:
    """Return the first batch of a reader of t."""
    capture, table = captured.find(session, TableName("t"), "")
    install.ensure(session, capture)
    file_keys.ensure(session, capture)
    columns = changes.check_columns([column.name for column in table.columns], (), [key.name for key in capture.keys])
    types = column_types.read(session, table.name)
    of_keys = tuple(types[key.name].name for key in capture.keys)
    return FileBatch("reader", changes.Source(capture, columns, condition), of_keys, ordinal="n")


@pytest.mark.parametrize(
    ("partitioned", "condition", "parts"),
    [(False, "", 3), (False, "public.t.n <> 3 -- of the table", 3), (True, "", 3), (True, "public.t.n <> 3", 1)],
)
def test_the_first_copy_into_files_has_each_row_once_in_one_of_its_parts(
    session: Session, partitioned: bool, condition: str, parts: int
) -> None:
    session.run(f"CREATE TABLE t ({COLUMNS}){' PARTITION BY HASH (id)' if partitioned else ''}")
    if partitioned:
        session.run("CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)")
        session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
    session.run(f"INSERT INTO t {ROWS}; DELETE FROM t WHERE id % 5 = 0")
    batch = batch_of(session, condition)
    plan = plan_batch(session, batch, is_first=True, parallelism=3)
    read = [[row for piece in part for row in session.query(piece)] for part in plan.parts]
    assert len(read) == parts
    assert all(read)
    [whole] = plan_batch(session, batch, is_first=False).parts
    expected = session.query(whole[0])
    assert len(expected) > 1000
    assert sorted(row for part in read for row in part) == sorted(expected)
