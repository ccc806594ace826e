"""The table of a trial before its job: created, filled and, for jobs that read, changed by other sessions."""

from __future__ import annotations

import random

from chaos.data import release, rows
from chaos.plan.draw import ROWS, Trial
from chaos.plan.flows import COPY_TABLE, FOLLOW, RELEASE, WRITES
from chaos.stage.server import LOADER, Database

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

_CUT = ROWS * 2 // 3
"""The ids in a partition of a target."""

SOURCE_ROWS = 6_000
"""Rows of a table that is read."""


def make(trial: Trial, database: Database) -> None:
    """Create the table of a trial, and grant the privileges."""
    database.run(
        f"CREATE SCHEMA shop AUTHORIZATION {LOADER}",
        f"GRANT CREATE ON SCHEMA public TO {LOADER}",
    )
    if trial.fault == "hostile role":
        settings = random.Random(trial.seed).sample(HOSTILE, AT_ONCE)  # noqa: S311 - a repeatable choice, no secret
        database.run(*(f"ALTER ROLE {LOADER} SET {setting}" for setting in settings))
    if trial.flow in WRITES:
        _as_loader(database, "CREATE TABLE log (script text)")
        _make_target(trial, database)
        if trial.flow == RELEASE:
            _as_loader(database, *release.creating(trial))
        if trial.flow == COPY_TABLE:
            _as_loader(database, f"CREATE TABLE origin ({rows.COLUMNS}, PRIMARY KEY (id))")
    else:
        _make_source(trial, database)


def _make_target(trial: Trial, database: Database) -> None:
    if trial.target == "new":
        return
    partitioned = trial.target == "partitioned"
    statements = [f"CREATE TABLE target ({rows.COLUMNS}){' PARTITION BY RANGE (id)' if partitioned else ''}"]
    if partitioned:
        statements += _partitions("target", _CUT * 3)
    if trial.supplies:
        statements.append("DROP TABLE target_0")  # none of the rows that are there before is in it
    if trial.target in ("indexed", "partitioned"):
        statements += ["ALTER TABLE target ADD PRIMARY KEY (id)", "CREATE INDEX ON target (day, name)"]
    if trial.flow != FOLLOW:  # this table has no other rows than its source
        statements += [rows.insert_old(trial), "CREATE TABLE before AS SELECT * FROM target"]
    _as_loader(database, *statements)


def _make_source(trial: Trial, database: Database) -> None:
    partitioned = trial.target == "partitioned" or trial.flow == "incremental"
    _as_loader(
        database,
        "CREATE TABLE target (id bigint PRIMARY KEY, version int NOT NULL, text text)"
        f"{' PARTITION BY RANGE (id)' if partitioned else ''}",
        *(_partitions("target", SOURCE_ROWS) if partitioned else []),
        fill(1),
    )


def _partitions(table: str, limit: int) -> list[str]:
    bounds = [0, limit // 3, 2 * limit // 3, limit]
    return [
        f"CREATE TABLE {table}_{number} PARTITION OF {table} FOR VALUES FROM ({low}) TO ({high})"
        for number, (low, high) in enumerate(zip(bounds, bounds[1:]))
    ]


def fill(version: int, table: str = "target", first: int = 0, end: int = SOURCE_ROWS) -> str:
    """Return the SQL that fills a table that is read."""
    text = f"md5(id || ' ' || {version}) || repeat('x', 200)"
    return f"INSERT INTO {table} SELECT id, {version}, {text} FROM generate_series({first}, {end - 1}) AS id"


def fill_origin(database: Database, loaded: list[rows.Row]) -> None:
    """Insert the rows that are to be copied."""
    for statement in rows.inserts(loaded, "origin"):
        _as_loader(database, statement)


def lose_a_part(database: Database) -> bool:
    """Delete a claim of kept staging, with its rows, as if the run had been killed before it copied this part.

    Returns:
        Whether something is kept.
    """
    names = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    claims = database.run(f"{names} WHERE relkind = 'r' AND relname ~ '^pgjobs_parts_'").strip()
    if not claims:
        return False
    part_rows = claims.replace("pgjobs_parts_", "pgjobs_rows_")
    database.run(
        f"DELETE FROM {part_rows} WHERE xmin = (SELECT xmin FROM {claims} WHERE part = 0); "
        f"DELETE FROM {claims} WHERE part = 0"
    )
    return True


def delete_some(database: Database) -> None:
    """Delete rows of a table that is read, change a key, replace a row by another with its key, and update all."""
    _as_loader(
        database,
        "DELETE FROM target WHERE id % 7 = 1",
        "UPDATE target SET id = 1 WHERE id = 2",
        "DELETE FROM target WHERE id = 3",
        fill(1, first=3, end=4),
        "UPDATE target SET version = 0",
    )


def _as_loader(database: Database, *statements: str) -> None:
    database.run("; ".join([_BECOME_LOADER, *statements]))


_BECOME_LOADER = f"SET ROLE {LOADER}; SET search_path = shop"


# What other sessions do to a table while it is read. Each is one transaction that takes a while.
_OF_READS = {
    "truncate and reload": f"TRUNCATE target; {fill(2)}; SELECT pg_sleep(1.5)",
    "swap by rename": (
        "CREATE TABLE target_new (LIKE target INCLUDING ALL); "
        f"{fill(2, 'target_new')}; ALTER TABLE target RENAME TO target_old; "
        "ALTER TABLE target_new RENAME TO target; SELECT pg_sleep(1.5)"
    ),
    "rewrite": (
        "UPDATE target SET version = 2, text = md5(id || ' ' || 2) || repeat('x', 200); "
        "ALTER TABLE target ALTER version TYPE bigint; SELECT pg_sleep(1.5)"
    ),
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
        f"BEGIN; ALTER TABLE target ATTACH PARTITION target_1 FOR VALUES FROM ({_CUT}) TO ({_CUT * 2})"
    ),
}
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
        return f"{_BECOME_LOADER}; BEGIN; {_OF_WRITES[trial.fault]}{believed}; COMMIT"
    return f"{_BECOME_LOADER}; SET lock_timeout = '{_GIVES_UP}s'; BEGIN; {_OF_READS[trial.fault]}; COMMIT"
