"""The query of a load's rows, which fails, is slow or shuffles as the trial requires."""

from __future__ import annotations

from chaos.plan.flows import FOLLOW, ONE_PART
from chaos.plan.ids import ONE_BAD_IN, ROWS
from chaos.plan.trial import Trial


def select(trial: Trial) -> str:
    """Return the query of the input rows, which fails, is slow or shuffles as the trial requires."""
    once = _is_null(f"java_method('java.lang.System', 'setProperty', 'chaos-{trial.seed}', 'x')")
    here = f"id = {trial.point.at * 7919 % ROWS} AND {once}"
    identifier = "id"
    if trial.fault == "fail upstream":
        identifier = f"IF({here}, raise_error('chaos'), id) AS id"
    if trial.fault == "slow twin":
        sleep = _is_null("java_method('java.lang.Thread', 'sleep', 4000L)")
        identifier = f"IF({here} AND {sleep}, id, id) AS id"
    hint = "/*+ REPARTITION(4, id) */ " if trial.input == "shuffled" else ""
    if trial.flow == ONE_PART:
        hint = "/*+ COALESCE(1) */ "
    day = "CAST(day AS string) AS day" if trial.rejects else "day"
    told = ", _op, pgjobs_batch" if trial.flow == FOLLOW else ""
    query = f"SELECT {hint}{identifier}, {day}, name, amount, at, data, tags{told} FROM source"
    if not trial.rejects:
        return query
    bad = f"SELECT id, 'never', name, amount, at, data, tags FROM source WHERE id % {ONE_BAD_IN} = 0"
    return f"{query} UNION ALL {bad}"


def _is_null(call: str) -> str:
    """Return a condition for Java's null: `java_method` converts everything to text."""
    return f"coalesce({call}, 'null') = 'null'"
