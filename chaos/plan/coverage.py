"""Which faults meet which jobs: a Markdown table, generated from the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from chaos.plan.flows import FAULTS, FLOWS
from chaos.plan.trial import Trial

FAULTS_IN_ORDER = tuple(dict.fromkeys(fault for faults in FAULTS.values() for fault in faults))

WHAT = {
    "cut": "a connection is cut",
    "lose answer": "a connection is cut after the server has executed a statement, before its answer arrives",
    "lose answer to COMMIT": "the same, at the COMMIT of publish, of a watermark, or of a query",
    "stall": "a connection stalls for some seconds",
    "slow down": "a connection becomes slow",
    "half-close": "one direction of a connection is closed, the other stays open",
    "vanish": "the job's half of a connection disappears without notice to the server",
    "kill worker": "a Python worker, or the daemon that forks them, is killed",
    "kill executor": "an executor is killed",
    "kill driver": "the driver is killed",
    "kill task": "Spark kills a task",
    "lose shuffle": "an executor is killed with its shuffle data, so that a stage is run again",
    "restart server": "the server is stopped as in a crash (`immediate`), and started again",
    "terminate backends": "some or all of the job's backends are terminated",
    "use up connections": "no connection is free for some seconds",
    "fill disk": "the server cannot write for some seconds",
    "clock jumps": "the server's clock jumps by up to a day, forward or back (if libfaketime is installed)",
    "pooler between": "PgBouncer is in between, in session mode (if it is installed)",
    "pooler dies": "this PgBouncer is killed, and restarted",
    "pooler shares": "PgBouncer is in between, in transaction mode, which must be refused",
    "hostile role": "the job's role has unusual settings",
    "lock target": "another session locks the table",
    "fail upstream": "a task's JVM fails in the middle of a part, on its first attempt",
    "slow twin": "a task is so slow that Spark starts a speculative attempt",
    "same table": "another job loads the same table",
    "same id": "another job has the same load id, or the same watermark",
    "truncate": "another session truncates the table",
    "swap by rename": "another session replaces the table by another one",
    "rewrite": "another session rewrites the table, by ALTER TABLE",
    "detach and attach": "another session detaches a partition, and attaches it again",
    "truncate and reload": "another session truncates and fills the table, in one transaction",
    "attach partition": "another session attaches a partition",
    "detach partition": "another session detaches a partition",
    "write meanwhile": "another session updates rows",
}
"""A short description of each fault."""


def table(trials: Iterable[Trial]) -> str:
    """Return how many trials combine each job with each fault; a dash if the fault is meaningless for the job."""
    counts = Counter((trial.fault, trial.flow) for trial in trials)
    rows = [["fault", *FLOWS, "what happens"], ["---"] * (len(FLOWS) + 2)]
    for fault in FAULTS_IN_ORDER:
        cells = [str(counts[fault, flow]) if fault in FAULTS[flow] else "-" for flow in FLOWS]
        rows.append([fault, *cells, WHAT[fault]])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
