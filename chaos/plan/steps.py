"""The steps of a job, as the proxy sees them: recognized by the statement, and by those before in its transaction."""

from __future__ import annotations

import re
from collections.abc import Collection

_WRITE = (
    "take load id",
    "make staging",
    "commit staging",
    "claim part",
    "copy part",
    "count part",
    "commit part",
    "record load",
    "lock",
    "move rows",
    "drop staging",
    "commit publish",
)
_READ = ("take snapshot", "adopt snapshot", "copy out")

STEPS = {
    "load": (*_WRITE, "analyze"),
    "pgcopy write": (*_WRITE, "analyze"),
    "pgcopy stream write": _WRITE[1:],
    "extract": _READ,
    "pgcopy read": _READ,
    "incremental": (*_READ, "begin run", "move watermark", "commit watermark"),
    "pgcopy stream read": _READ,
    "query": (
        *("take load id", "record load", "make result", "fill result", "keep result", "commit query"),
        *(*_READ, "drop result"),
    ),
    "copy rows": ("record load", "copy rows", "commit publish"),
    "load one part": (
        *("take load id", "make parts", "claim part", "copy rows", "record load", "count part", "commit publish"),
        *("drop staging", "analyze"),
    ),
    "partitions": (*_WRITE[:9], "build", "drop staging", "swap", "detach", "attach", "commit publish", "analyze"),
    "load parts": (
        *("take load id", "make parts", "claim part", "copy rows", "record part", "count part", "commit part"),
        *("drop staging", "record load", "commit publish", "analyze"),
    ),
    "load kept": (
        *("take load id", "make staging", "commit staging", "take over", "commit taking over"),
        *(*_WRITE[3:], "analyze"),
    ),
    "copy table": (
        *("take load id", "take snapshot", "adopt snapshot", *_WRITE[1:4], "copy out", *_WRITE[4:], "analyze"),
    ),
    "release": (*_WRITE, "analyze"),
    "follow": (*_WRITE, "store position", "analyze"),
    "capture": ("make triggers", "commit triggers", "copy out", "copy batch", "move position", "commit batch"),
}
"""The steps of each job, in order."""

FIRST_STEPS = ("make staging", "commit staging")
"""Those of a kept load whose staging is not there yet."""

RESUMING_STEPS = ("take over", "commit taking over")
"""Those of a kept load that goes on from staging."""

SCRIPT_STEPS = ("run script", "leave script")
"""Those of SQL before and after the rows of a load."""

TWICE = {"run script": 4, "leave script": 2, "make result": 2, "drop result": 2}
"""Steps that occur more often than once: a result's table is made empty at first."""

SOME_TIMES = 4
"""How often the step of a part occurs, approximately; so does each step of a stream, once for a batch."""

OF_PARTS = ("claim part", "copy part", "count part", "commit part", "adopt snapshot", "copy out")

OF_TABLES = 3
"""How many tables a release has."""

_OF_A_RELEASE = ("take load id", "record load", "commit publish")
"""Its steps that occur once, and not for each of its tables."""

_WITH_ONE_PART = ("query", "capture", "load one part")
"""Jobs whose steps of parts occur once."""


def how_often(step: str, flow: str) -> int:
    """Return how often a step of a job occurs, approximately."""
    if flow == "pgcopy stream write":
        return SOME_TIMES
    if step in OF_PARTS and flow not in _WITH_ONE_PART:
        return SOME_TIMES * (OF_TABLES if flow == "release" else 1)
    if step in ("copy rows", "record part") and flow == "load parts":
        return SOME_TIMES
    if flow == "release" and step not in _OF_A_RELEASE:
        return OF_TABLES
    return TWICE.get(step, 1)


COMMITS = {
    "load": "commit publish",
    "pgcopy write": "commit publish",
    "pgcopy stream write": "commit publish",
    "incremental": "commit watermark",
    "query": "commit query",
    "capture": "commit batch",
    "copy rows": "commit publish",
    "load one part": "commit publish",
    "partitions": "commit publish",
    "load parts": "commit publish",
    "load kept": "commit publish",
    "copy table": "commit publish",
    "release": "commit publish",
    "follow": "commit publish",
}
"""The step that commits the result of a job."""

_BY_STATEMENT = (
    ("take load id", r"SELECT pg_try_advisory_lock"),
    ("make staging", r"CREATE (UNLOGGED )?TABLE \S*pgjobs_rows_"),
    ("make parts", r"CREATE UNLOGGED TABLE \S*pgjobs_parts_"),
    ("claim part", r"INSERT INTO \S*pgjobs_parts_"),
    ("make triggers", r"CREATE TRIGGER"),
    ("copy batch", r'COPY (pg_temp\.pgjobs_capture_batch|"shop"\."copy") '),
    ("move position", r'(INSERT INTO|UPDATE) \S*"pgjobs_captures"'),
    ("copy rows", r'COPY "shop"\."target" '),
    ("copy part", r"COPY \S*pgjobs_rows_"),
    ("record part", r"INSERT INTO \S*pgjobs_claims"),
    ("count part", r"UPDATE \S*pgjobs_parts_"),
    ("store position", r"(INSERT INTO|UPDATE) \S*pgjobs_positions"),
    ("record load", r'INSERT INTO \S*"table_updates"'),
    ("lock", r"LOCK TABLE"),
    ("build", r"CREATE (UNIQUE )?INDEX"),
    ("swap", r"SAVEPOINT pgjobs_attempt"),
    ("detach", r'ALTER TABLE "shop"\."target" DETACH'),
    ("attach", r'ALTER TABLE "shop"\."target" ATTACH'),
    ("take over", r'ALTER TABLE \S*pgjobs_rows_\S* RENAME TO "pgjobs_rows_'),
    (
        "move rows",
        (
            r'INSERT INTO "shop"\."(target|child|grandchild)"|DELETE FROM "shop"|'
            r"WITH \w*(gone|moved) AS|ALTER TABLE \S*pgjobs_rows_\S* REN"
        ),
    ),
    ("drop result", r"DROP TABLE IF EXISTS \S*pgjobs_result_"),
    ("drop staging", r"DROP TABLE IF EXISTS \S*pgjobs_"),
    ("run script", r"INSERT INTO shop\.log|DELETE FROM shop\.target"),
    ("leave script", r"RELEASE SAVEPOINT"),
    ("make result", r"CREATE TABLE \S*pgjobs_result_"),
    ("fill result", r"WITH pgjobs_query"),
    ("keep result", r"COMMENT ON TABLE"),
    ("analyze", r"ANALYZE"),
    ("take snapshot", r"SELECT pg_export_snapshot"),
    ("adopt snapshot", r"SET TRANSACTION SNAPSHOT"),
    ("copy out", r"COPY \("),
    ("begin run", r"INSERT INTO \S*pgjobs_watermarks"),
    ("move watermark", r"UPDATE \S*pgjobs_watermarks"),
)
_PATTERNS = [(step, re.compile(pattern)) for step, pattern in _BY_STATEMENT]

_BY_COMMIT = {
    "move position": "commit batch",
    "make triggers": "commit triggers",
    "keep result": "commit query",
    "record load": "commit publish",
    "count part": "commit part",
    "make staging": "commit staging",
    "take over": "commit taking over",
    "move watermark": "commit watermark",
}


def step_of(statement: str, done: Collection[str]) -> str:
    """Return the step that a statement belongs to; empty if none.

    Args:
        statement: Its beginning.
        done: The steps of its connection since the last BEGIN.
    """
    if statement.startswith("COMMIT"):
        return next((commit for step, commit in _BY_COMMIT.items() if step in done), "")
    return next((step for step, pattern in _PATTERNS if pattern.match(statement)), "")
