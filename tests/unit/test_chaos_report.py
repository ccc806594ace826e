"""make chaos: what it prints of a finding."""

from __future__ import annotations

from chaos.judge.verdict import Verdict
from chaos.plan.draw import draw
from chaos.report import line, summary
from chaos.stage.spark.drivers import Outcome


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
