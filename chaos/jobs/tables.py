"""The table of a trial before its job: created, filled and, for jobs that read, changed by other sessions."""

from __future__ import annotations

from chaos.data import contents, release, rows
from chaos.plan.flows import COPY_TABLE, FOLLOW, RELEASE, WRITES
from chaos.plan.ids import ROWS
from chaos.plan.trial import Trial
from chaos.stage.database import LOADER, Database

CUT = ROWS * 2 // 3
"""The ids in a partition of a target."""

SOURCE_ROWS = 6_000
"""Rows of a table that is read."""


def make(trial: Trial, database: Database) -> None:
    """Create the table of a trial, and grant the privileges."""
    database.run(
        f"CREATE SCHEMA shop AUTHORIZATION {LOADER}",
        f"GRANT CREATE ON SCHEMA public TO {LOADER}",
    )
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
        statements += _partitions("target", CUT * 3)
    if trial.supplies:
        statements.append("DROP TABLE target_0")  # none of the rows that are there before is in it
    if trial.target in ("indexed", "partitioned"):
        statements += ["ALTER TABLE target ADD PRIMARY KEY (id)", "CREATE INDEX ON target (day, name)"]
    if trial.flow != FOLLOW:  # this table has no other rows than its source
        statements += [contents.insert_old(trial), "CREATE TABLE before AS SELECT * FROM target"]
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
    database.run("; ".join([BECOME_LOADER, *statements]))


BECOME_LOADER = f"SET ROLE {LOADER}; SET search_path = shop"


def change(trial: Trial, database: Database) -> None:
    """Change some rows of a table that is read."""
    _as_loader(database, "UPDATE target SET version = 3, text = 'new' WHERE id % 5 = 0")
    if trial.deletes:
        _as_loader(database, "DELETE FROM target WHERE id % 11 = 4")
