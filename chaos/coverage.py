"""Which faults meet which jobs: a table of Markdown, made of the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from chaos.plan import FAULTS, FLOWS, Trial

FAULTS_IN_ORDER = tuple(dict.fromkeys(fault for faults in FAULTS.values() for fault in faults))

WHAT = {
    "cut": "a connection is cut",
    "lose answer": "a connection is cut when a statement was done, before its answer comes",
    "lose answer to COMMIT": "the same at the COMMIT that publishes, or moves a watermark",
    "stall": "a connection stands still for some seconds",
    "slow down": "a connection becomes slow",
    "half-close": "a connection's one direction ends, the other goes on",
    "vanish": "the job's half of a connection is gone, and the server is not told",
    "kill worker": "a Python worker, or the daemon that forks them, is killed",
    "kill executor": "an executor is killed",
    "kill driver": "the driver is killed",
    "kill task": "Spark kills a task",
    "lose shuffle": "an executor is killed with its shuffle, so that a stage is run again",
    "restart server": "the server is stopped as by a crash (`immediate`), and started again",
    "terminate backends": "some or all of the job's backends are terminated",
    "use up connections": "no connection is free for some seconds",
    "fill disk": "the server cannot write for some seconds",
    "clock jumps": "the server's clock jumps by up to a day, there or back (where libfaketime is installed)",
    "pooler between": "PgBouncer stands between, in session mode (where it is installed)",
    "pooler dies": "that PgBouncer is killed, and comes back",
    "pooler shares": "PgBouncer stands between in transaction mode, which is to be refused",
    "hostile role": "the job's role has settings that are unusual",
    "lock target": "somebody else locks the table",
    "fail upstream": "a task's JVM fails in the middle of a part, on its first attempt",
    "slow twin": "a task is so slow that Spark starts a twin",
    "same table": "another job loads the same table",
    "same id": "another job has the same load id, or the same watermark",
    "truncate": "somebody else truncates the table",
    "swap by rename": "somebody else puts another table in its place",
    "rewrite": "somebody else rewrites the table, by ALTER TABLE",
    "detach and attach": "somebody else detaches a partition, and attaches it again",
    "truncate and reload": "somebody else truncates and fills the table, in one transaction",
    "attach partition": "somebody else attaches a partition",
    "detach partition": "somebody else detaches a partition",
    "write meanwhile": "somebody else updates rows",
}
"""Each fault in a few words."""


def table(trials: Iterable[Trial]) -> str:
    """How many trials each job has with each fault; a dash where a fault makes no sense for a job."""
    counts = Counter((trial.fault, trial.flow) for trial in trials)
    rows = [["fault", *FLOWS, "what happens"], ["---"] * (len(FLOWS) + 2)]
    for fault in FAULTS_IN_ORDER:
        cells = [str(counts[fault, flow]) if fault in FAULTS[flow] else "-" for flow in FLOWS]
        rows.append([fault, *cells, WHAT[fault]])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
