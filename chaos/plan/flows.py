"""The jobs that are tried, and what can break each of them."""

from __future__ import annotations

FLOWS = {
    "load": 10,
    "pgcopy write": 4,
    "pgcopy stream write": 2,
    "extract": 4,
    "incremental": 2,
    "pgcopy read": 2,
    "pgcopy stream read": 2,
    "query": 3,
    "capture": 3,
    "copy rows": 2,
    "load one part": 3,
    "partitions": 4,
    "load parts": 4,
    "load kept": 4,
    "copy table": 4,
    "release": 4,
    "follow": 4,
}
"""The jobs, each with its share of the trials that are drawn after the deck."""

COPY_ROWS = "copy rows"
"""A program without Spark: marker and rows in one transaction."""

ONE_PART = "load one part"
"""A load whose task copies straight into the table, and commits marker and rows."""

PARTITIONS = "partitions"
"""A load that replaces partitions."""

REPLACE_PARTITIONS = "replace-partitions"
"""Its mode."""

PARTS = "load parts"
"""A load whose tasks copy straight into the table, each with its claim. It goes on where a failed run has stopped."""

KEPT = "load kept"
"""A load that keeps its staging, from which a rerun goes on. If it is primed, an earlier run has staged parts of it."""

COPY_TABLE = "copy table"
"""A copy of another table, from server to server, without Spark."""

RELEASE = "release"
"""Three tables, published together. Each of two refers to another one."""

FOLLOW = "follow"
"""A load of the changes that a capture writes. If it is primed, an earlier load has read some of them."""

LOADS = ("load", PARTITIONS, KEPT)
BATCH_WRITES = ("load", "pgcopy write", COPY_ROWS, ONE_PART, PARTITIONS, PARTS, KEPT, COPY_TABLE, RELEASE, FOLLOW)
WRITES = (*BATCH_WRITES, "pgcopy stream write")
APPENDS = (COPY_ROWS, ONE_PART, PARTS)
"""Those that have no other mode, and need a table."""

READS = ("extract", "pgcopy read")
QUERY = "query"
"""A query that deletes rows and writes them to files."""

CAPTURE = "capture"
"""A copy of a table, brought up to date once by captured changes."""

NEWER = ("incremental", "pgcopy stream read")
"""Jobs that read what is new since their last run."""

TARGETS = {
    "append": ("new", "plain", "indexed", "partitioned"),
    "overwrite": ("new", "plain", "indexed", "partitioned"),
    "upsert": ("new", "indexed", "partitioned"),
    "ignore": ("new", "indexed", "partitioned"),
}
"""The modes of a write, each with the kinds of tables for which it works."""

REFERENCED = ("indexed", "partitioned")
"""Those to which another table can refer."""

STATEMENTS = {
    "load": 90,
    "pgcopy write": 90,
    "pgcopy stream write": 200,
    "extract": 60,
    "incremental": 110,
    "pgcopy read": 60,
    "pgcopy stream read": 70,
    "query": 80,
    "capture": 110,
    "copy rows": 25,
    "load one part": 60,
    "partitions": 170,
    "load parts": 130,
    "load kept": 100,
    "copy table": 130,
    "release": 250,
    "follow": 110,
}
"""The approximate number of statements of an undisturbed job, among which the point of a fault is drawn."""

WIRE_FAULTS = ("cut", "lose answer", "stall", "slow down", "half-close", "vanish")
PROCESS_FAULTS = ("kill worker", "kill executor", "kill driver", "kill task")
SERVER_FAULTS = ("restart server", "terminate backends", "use up connections", "fill disk", "clock jumps")
POOLER_FAULTS = ("pooler between", "pooler dies", "pooler shares")
ROLE_FAULTS = ("hostile role",)
WRITE_FAULTS = ("lose answer to COMMIT", "lose shuffle", "lock target", "fail upstream", "slow twin", "same table")
FILES_ONLY = ("fail upstream", "slow twin")
"""What happens while a task reads its file: their rows are not shuffled."""

NEIGHBOURS_OF_WRITES = ("truncate", "swap by rename", "rewrite", "detach and attach")
NEIGHBOURS_OF_READS = ("truncate and reload", "swap by rename", "rewrite", "attach partition", "detach partition")
NEIGHBOURS_OF_NEWER = ("write meanwhile", "truncate and reload", "attach partition", "lose answer to COMMIT")

_COMMON = WIRE_FAULTS + PROCESS_FAULTS + SERVER_FAULTS + POOLER_FAULTS + ROLE_FAULTS
FAULTS = {
    "load": (*_COMMON, *WRITE_FAULTS, "same id", *NEIGHBOURS_OF_WRITES),
    "pgcopy write": (*_COMMON, *WRITE_FAULTS, "same id", *NEIGHBOURS_OF_WRITES),
    "pgcopy stream write": (*_COMMON, *WRITE_FAULTS, "rewrite", "detach and attach"),
    "extract": (*_COMMON, *NEIGHBOURS_OF_READS),
    "pgcopy read": (*_COMMON, *NEIGHBOURS_OF_READS),
    "incremental": (*_COMMON, *NEIGHBOURS_OF_NEWER, "same id"),
    "pgcopy stream read": (*_COMMON, *NEIGHBOURS_OF_NEWER[:-1]),
    "capture": (
        *WIRE_FAULTS,
        "kill driver",
        *SERVER_FAULTS,
        *POOLER_FAULTS,
        *ROLE_FAULTS,
        *NEIGHBOURS_OF_READS,
        "write meanwhile",
        "lose answer to COMMIT",
    ),
    "query": (*_COMMON, "lose answer to COMMIT", "same id"),
    "copy rows": (
        *(*WIRE_FAULTS, "kill driver", *SERVER_FAULTS, *POOLER_FAULTS[:2], *ROLE_FAULTS),
        *("lose answer to COMMIT", "lock target", "same id"),
    ),
    "load one part": (
        *_COMMON,
        *(fault for fault in WRITE_FAULTS if fault != "lose shuffle"),
        *("same id", *NEIGHBOURS_OF_WRITES),
    ),
    "partitions": (*_COMMON, *WRITE_FAULTS, "same id", "truncate", "rewrite", "detach and attach"),
    # A table that is truncated or swapped loses parts that are claimed: whoever does this ends the load.
    "load parts": (
        *_COMMON,
        *("lose answer to COMMIT", "lock target", "same table", "same id", "rewrite", "detach and attach"),
    ),
    "load kept": (*_COMMON, "lose answer to COMMIT", "lock target", "same table", "same id", *NEIGHBOURS_OF_WRITES),
    "copy table": (
        *(*WIRE_FAULTS, "kill driver", *SERVER_FAULTS, *POOLER_FAULTS, *ROLE_FAULTS),
        *("lose answer to COMMIT", "lock target", "same id", *NEIGHBOURS_OF_WRITES),
    ),
    # A table to which others refer cannot be truncated, and its partitions with such rows cannot be detached.
    "release": (*_COMMON, *WRITE_FAULTS, "same id", "rewrite"),
    # Whoever truncates or swaps a table that follows a source makes it differ.
    "follow": (*_COMMON, *WRITE_FAULTS, "same id", "rewrite", "detach and attach"),
}
"""The faults that are meaningful for each job."""
