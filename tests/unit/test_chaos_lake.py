"""make chaos: what the files of an extract say, and which of them count."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chaos.judge import lake


def write(path: Path, *rows: tuple[int, int, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: list(values) for name, values in zip(("id", "version", "text"), zip(*rows))}
    pq.write_table(pa.table(columns), path)
    return path


def test_a_lake_is_all_that_is_not_hidden(tmp_path: Path) -> None:
    write(tmp_path / "run=1" / "a.parquet", (1, 1, "x"), (2, 1, "y"))
    write(tmp_path / "run=2" / "b.parquet", (1, 2, "z"))
    write(tmp_path / "_temporary" / "c.parquet", (3, 1, "half"))
    assert lake.rows(tmp_path) == [(1, 1, "x"), (1, 2, "z"), (2, 1, "y")]
    assert lake.newest(lake.rows(tmp_path)) == [(1, 2, "z"), (2, 1, "y")]


def test_what_runs_tell_adds_up_and_is_told_once(tmp_path: Path) -> None:
    def tell(run: int, *rows: tuple[str, int, int | None, str | None]) -> None:
        path = tmp_path / f"pgjobs_run={run}" / "a.parquet"
        path.parent.mkdir()
        names = ("_op", "id", "version", "text")
        pq.write_table(pa.table({name: list(values) for name, values in zip(names, zip(*rows))}), path)

    tell(1, ("U", 1, 1, "a"), ("U", 2, 1, "a"))
    tell(10, ("D", 1, None, None), ("U", 2, 3, "c"))
    tell(9, ("U", 2, 2, "b"))
    assert lake.folded(lake.told(tmp_path)) == [(2, 3, "c")]
    assert lake.contradictions(lake.told(tmp_path)) == []
    tell(11, ("D", 1, None, None), ("U", 3, 1, "x"), ("U", 3, 2, "y"))
    found = lake.contradictions(lake.told(tmp_path))
    assert [complaint.partition(":")[0] for complaint in found] == ["1 is told twice", "a run tells 3 twice"]


def test_of_a_streams_lake_those_files_count_that_a_batch_committed(tmp_path: Path) -> None:
    committed = write(tmp_path / "a b.parquet", (1, 1, "x"))
    write(tmp_path / "left by a task that died.parquet", (1, 1, "x"))
    log = tmp_path / "_spark_metadata"
    log.mkdir()
    (log / "0").write_text("v1\n" + json.dumps({"path": committed.as_uri(), "action": "add"}))
    assert lake.rows(tmp_path) == [(1, 1, "x")]
