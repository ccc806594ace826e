"""Unusual settings of the role that runs the jobs."""

from __future__ import annotations

import random

from chaos.plan.trial import Trial
from chaos.stage.database import LOADER, Database

HOSTILE = (
    "default_transaction_isolation = 'serializable'",
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_read_only = on",
    "array_nulls = off",
    "DateStyle = 'SQL, DMY'",
    "TimeZone = 'Asia/Kathmandu'",
    "IntervalStyle = 'sql_standard'",
    "search_path = nowhere, public",
    "search_path = public, pg_catalog",
    "standard_conforming_strings = off",
    "bytea_output = 'escape'",
    "extra_float_digits = 0",
    "statement_timeout = '60s'",
    "synchronous_commit = off",
    "enable_seqscan = off",
    "client_encoding = 'LATIN1'",
    "row_security = off",
    "transform_null_equals = on",
    "work_mem = '64kB'",
    "lock_timeout = '30s'",
    "idle_in_transaction_session_timeout = '60s'",
)
"""Settings that a role may have. If a name occurs twice, the later one counts."""

AT_ONCE = 7
"""How many of these a hostile role has."""


def make_hostile(trial: Trial, database: Database) -> None:
    """Give the role some of these settings, if this is the trial's fault."""
    if trial.fault == "hostile role":
        settings = random.Random(trial.seed).sample(HOSTILE, AT_ONCE)  # noqa: S311 - a repeatable choice, no secret
        database.run(*(f"ALTER ROLE {LOADER} SET {setting}" for setting in settings))
