"""make chaos: the judge sees what is lost, doubled or not committed."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chaos.judge import evidence as judge
from chaos.judge.writes import Verdict
from chaos.plan.draw import draw
from chaos.report import line, summary
from chaos.stage.spark.drivers import Outcome


def write(path: Path, *rows: tuple[int, int, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: list(values) for name, values in zip(("id", "version", "text"), zip(*rows))}
    pq.write_table(pa.table(columns), path)
    return path


def test_lost_and_doubled_rows_are_told() -> None:
    assert judge.difference([(1,), (2,)], [(1,), (2,)]) == ""
    assert "1 missing, 0 too many, such as (2,)" in judge.difference([(1,)], [(1,), (2,)])
    assert "0 missing, 1 too many, such as (1,)" in judge.difference([(1,), (1,)], [(1,)])
    assert "in another order" in judge.difference([(2,), (1,)], [(1,), (2,)])


def test_a_lake_is_all_that_is_not_hidden(tmp_path: Path) -> None:
    write(tmp_path / "run=1" / "a.parquet", (1, 1, "x"), (2, 1, "y"))
    write(tmp_path / "run=2" / "b.parquet", (1, 2, "z"))
    write(tmp_path / "_temporary" / "c.parquet", (3, 1, "half"))
    assert judge.lake(tmp_path) == [(1, 1, "x"), (1, 2, "z"), (2, 1, "y")]
    assert judge.newest(judge.lake(tmp_path)) == [(1, 2, "z"), (2, 1, "y")]


def test_what_runs_tell_adds_up_and_is_told_once(tmp_path: Path) -> None:
    def tell(run: int, *rows: tuple[str, int, int | None, str | None]) -> None:
        path = tmp_path / f"pgjobs_run={run}" / "a.parquet"
        path.parent.mkdir()
        names = ("_op", "id", "version", "text")
        pq.write_table(pa.table({name: list(values) for name, values in zip(names, zip(*rows))}), path)

    tell(1, ("U", 1, 1, "a"), ("U", 2, 1, "a"))
    tell(10, ("D", 1, None, None), ("U", 2, 3, "c"))
    tell(9, ("U", 2, 2, "b"))
    assert judge.folded(judge.told(tmp_path)) == [(2, 3, "c")]
    assert judge.contradictions(judge.told(tmp_path)) == []
    tell(11, ("D", 1, None, None), ("U", 3, 1, "x"), ("U", 3, 2, "y"))
    found = judge.contradictions(judge.told(tmp_path))
    assert [complaint.partition(":")[0] for complaint in found] == ["1 is told twice", "a run tells 3 twice"]


def test_of_a_streams_lake_those_files_count_that_a_batch_committed(tmp_path: Path) -> None:
    committed = write(tmp_path / "a b.parquet", (1, 1, "x"))
    write(tmp_path / "left by a task that died.parquet", (1, 1, "x"))
    log = tmp_path / "_spark_metadata"
    log.mkdir()
    (log / "0").write_text("v1\n" + json.dumps({"path": committed.as_uri(), "action": "add"}))
    assert judge.lake(tmp_path) == [(1, 1, "x")]


def test_a_finding_is_told_with_what_to_repeat() -> None:
    verdict = Verdict(draw(17), Outcome(1, err="error: no"), "COMMIT", ["at the end: 1 missing"], {"judge": 1.0}, 2.0)
    told = line(verdict)
    assert told.startswith("FOUND     17")
    assert "error: no" in told
    assert "again: make chaos SEED=17 TIMES=1" in told
    summed = summary([verdict, Verdict(draw(18))], 3.0, "PostgreSQL 15", {"clock jumps": "there is no libfaketime"})
    assert "2 trials in 3 s" in summed
    assert "1 faults struck; 1 found something" in summed
    assert "left out: clock jumps, for there is no libfaketime" in summed
    assert "SEED=17" in summed
