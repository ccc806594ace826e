"""What other sessions do to the table of a job: each by one transaction that takes a while."""

from __future__ import annotations

from chaos.jobs.tables import BECOME_LOADER, CUT, SOURCE_ROWS, fill
from chaos.plan.flows import CAPTURE, FOLLOW, WRITES
from chaos.plan.trial import Trial


def _rewriting(version_type: str) -> str:
    return (
        "UPDATE target SET version = 2, text = md5(id || ' ' || 2) || repeat('x', 200); "
        f"ALTER TABLE target ALTER version TYPE {version_type}; SELECT pg_sleep(1.5)"
    )


# What other sessions do to a table while it is read. Each is one transaction that takes a while.
_OF_READS = {
    "truncate and reload": f"TRUNCATE target; {fill(2)}; SELECT pg_sleep(1.5)",
    "swap by rename": (
        "CREATE TABLE target_new (LIKE target INCLUDING ALL); "
        f"{fill(2, 'target_new')}; ALTER TABLE target RENAME TO target_old; "
        "ALTER TABLE target_new RENAME TO target; SELECT pg_sleep(1.5)"
    ),
    "rewrite": _rewriting("bigint"),
    "write meanwhile": "UPDATE target SET version = 2 WHERE id % 3 = 0; SELECT pg_sleep(1.5)",
    "attach partition": (
        "CREATE TABLE target_more (LIKE target INCLUDING ALL); "
        f"{fill(1, 'target_more', SOURCE_ROWS, SOURCE_ROWS + 500)}; "
        f"ALTER TABLE target ATTACH PARTITION target_more FOR VALUES FROM ({SOURCE_ROWS}) TO ({SOURCE_ROWS * 2})"
    ),
    "detach partition": "ALTER TABLE target DETACH PARTITION target_2",
}

_OF_WRITES = {
    "truncate": "TRUNCATE target; SELECT pg_sleep(0.3)",
    "swap by rename": (
        "CREATE TABLE target_new (LIKE target INCLUDING ALL); INSERT INTO target_new SELECT * FROM before; "
        "ALTER TABLE target RENAME TO target_old; ALTER TABLE target_new RENAME TO target; SELECT pg_sleep(0.3)"
    ),
    "rewrite": (
        "ALTER TABLE target ADD COLUMN extra int DEFAULT 7, ALTER data TYPE bytea USING data || '\\x'::bytea; "
        "SELECT pg_sleep(0.3)"
    ),
    "detach and attach": (
        "ALTER TABLE target DETACH PARTITION target_1; COMMIT; SELECT pg_sleep(0.7); "
        f"BEGIN; ALTER TABLE target ATTACH PARTITION target_1 FOR VALUES FROM ({CUT}) TO ({CUT * 2})"
    ),
}

_OF_CAPTURES = {**_OF_READS, "rewrite": _rewriting("smallint")}
"""A copy of integers is refused for a source of bigint, and takes what is smallint."""

_BELIEVED = (
    "DO $$ BEGIN IF to_regclass('public.pgjobs_positions') IS NOT NULL THEN "
    "UPDATE public.pgjobs_positions SET storage = NULL; END IF; END $$"
)
"""Whoever rewrites a table that follows a source says that its rows are still there."""

_GIVES_UP = 5
"""Seconds that another session waits for a table that is read. One that waits without limit makes an extract fail."""

NEIGHBOURS = (*_OF_READS, *_OF_WRITES)
"""What other sessions do to a table, by name."""


def meanwhile(trial: Trial) -> str:
    """Return the SQL of what another session does."""
    if trial.flow in WRITES:
        believed = f"; {_BELIEVED}" if (trial.flow, trial.fault) == (FOLLOW, "rewrite") else ""
        return f"{BECOME_LOADER}; BEGIN; {_OF_WRITES[trial.fault]}{believed}; COMMIT"
    by_fault = _OF_CAPTURES if trial.flow == CAPTURE else _OF_READS
    return f"{BECOME_LOADER}; SET lock_timeout = '{_GIVES_UP}s'; BEGIN; {by_fault[trial.fault]}; COMMIT"
