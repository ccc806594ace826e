"""A trial's job as a request to its driver: command lines and options, as a user writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.data import release
from chaos.plan.draw import DELETED, FILES_ONLY, LEAVES_WINDOW, LEFT_OUT, ONE_BAD_IN, ROWS, Trial
from chaos.plan.flows import CAPTURE, COPY_ROWS, COPY_TABLE, FOLLOW, KEPT, LOADS, ONE_PART, PARTS, QUERY, RELEASE
from chaos.stage.server import LOADER

TABLE = "shop.target"

BEFORE, NEXT = "/before", "/next"
"""What the ids of the loads before and after the trial's own add to it, if its table follows a capture."""

ORIGIN = "shop.origin"
"""What is copied."""


@dataclass(frozen=True)
class Place:
    """Where a job works.

    Attributes:
        port: The port of the proxy.
        database: The name of the database.
        folder: The folder for files.
    """

    port: int
    database: str
    folder: Path

    @property
    def source(self) -> Path:
        """Return the folder of a load's input."""
        return self.folder / "source"

    @property
    def lake(self) -> Path:
        """Return the folder of an extract's output."""
        return self.folder / "lake"

    def flags(self) -> list[str]:
        """Return the connection as flags of a command line."""
        flags = ["--host", "127.0.0.1", "--port", str(self.port), "--dbname", self.database, "--user", LOADER]
        return [*flags, "--sslmode", "disable", "--connect-deadline", "15"]

    def address(self) -> dict[str, Any]:
        """Return the connection as arguments of `connection`."""
        where = {"host": "127.0.0.1", "port": self.port, "dbname": self.database, "user": LOADER}
        return {"connection": {**where, "sslmode": "disable", "connect_deadline": 15}}

    def options(self) -> dict[str, str]:
        """Return the connection as options of `pgcopy`."""
        where = {"host": "127.0.0.1", "port": str(self.port), "dbname": self.database, "user": LOADER}
        return {**where, "sslmode": "disable", "connectDeadline": "15"}


def load_id(trial: Trial) -> str:
    """Return the trial's load id."""
    return f"chaos/{trial.seed}"


def keys(trial: Trial) -> str:
    """Return the key columns of its mode; empty for modes without keys."""
    return "id" if trial.mode in ("upsert", "ignore") or trial.difference else ""


def ask(trial: Trial, place: Place, identity: str = "") -> Mapping[str, Any]:
    """Return the request for the job.

    Args:
        trial: The trial.
        place: Where the job works.
        identity: The load id, if it is not the trial's own.
    """
    identity = identity or load_id(trial)
    commands = {
        **dict.fromkeys((*LOADS, ONE_PART, PARTS, FOLLOW), ("load_table", _load_arguments)),
        "extract": ("extract_table", _extract_arguments),
        "incremental": ("extract_table", _extract_arguments),
        QUERY: ("run_query", _query_arguments),
        CAPTURE: ("capture_changes", _capture_arguments),
        COPY_TABLE: ("copy_table", _copy_arguments),
        RELEASE: ("load_release", _release_arguments),
    }
    if trial.flow in commands:
        job, arguments = commands[trial.flow]
        return {"job": job, "arguments": arguments(trial, place, identity)}
    if trial.flow == "pgcopy read":
        options = {**place.options(), "table": TABLE, "parallelism": "3"}
        return {"job": "read", "options": options, "target": str(place.lake)}
    if trial.flow == "pgcopy stream read":
        options = {**place.options(), "table": TABLE, "parallelism": "3", "ordinalColumn": "version"}
        checkpoint = str(place.folder / "checkpoint")
        return {"job": "read stream", "options": options, "target": str(place.lake), "checkpoint": checkpoint}
    if trial.flow == COPY_ROWS:
        return {"job": "copy rows", "source": str(place.source), "table": TABLE, "id": identity, **place.address()}
    options = {**place.options(), "table": TABLE, **_pgcopy_mode(trial)}
    if trial.flow == "pgcopy write":
        options["loadId"] = identity
        return {
            "job": "write",
            "source": str(place.source),
            "select": _select(trial),
            "options": options,
            "mode": "overwrite" if trial.mode == "overwrite" else "append",
        }
    options["streamId"] = identity
    return {
        "job": "write stream",
        "source": str(place.source),
        "select": _select(trial),
        "options": options,
        # Spark allows a checkpoint to one stream: a rival with another id has its own.
        "checkpoint": str(place.folder / f"checkpoint-{identity.replace('/', '-')}"),
    }


def _pgcopy_mode(trial: Trial) -> dict[str, str]:
    return {"mode": trial.mode, "keys": "id"} if keys(trial) else {}


def _load_arguments(trial: Trial, place: Place, identity: str) -> list[str]:
    mode = "history" if trial.history else trial.mode
    arguments = ["--source", str(place.source), "--table", TABLE, "--mode", mode, "--load-id", identity]
    if trial.flow != FOLLOW or trial.input == "shuffled" or trial.fault in FILES_ONLY:
        arguments += ["--select", _select(trial)]
    arguments += ["--new-partitions"] if trial.supplies else []
    if keys(trial):
        arguments += ["--keys", keys(trial)]
    arguments += _OF_FLOWS.get(trial.flow, [])
    optional = (
        (trial.verify, ["--verify"]),
        (trial.rejects, ["--on-error", "quarantine"]),
        (trial.governed, ["--max-wal-rate", "1GB/s"]),
    )
    arguments += [flag for is_wanted, flags in optional if is_wanted for flag in flags]
    arguments += _moving_arguments(trial)
    if trial.defined:
        arguments += ["--column-type", "number=bigserial", "--metadata-columns", "loaded=timestamptz DEFAULT now()"]
    if trial.scripts:
        oldest = "" if trial.target == "new" else f"; DELETE FROM {TABLE} WHERE id = {LEAVES_WINDOW}"
        arguments += ["--before-sql", f"INSERT INTO shop.log VALUES ('before'){oldest}"]
        arguments += [
            "--after-sql",
            f"DELETE FROM {TABLE} WHERE id = {LEFT_OUT}; INSERT INTO shop.log VALUES ('after')",
        ]
    return [*arguments, *place.flags()]


_OF_FLOWS = {PARTS: ["--publish", "parts"], KEPT: ["--keep-staging"], FOLLOW: ["--changes-since-ledger"]}


def _moving_arguments(trial: Trial) -> list[str]:
    """Return what refines the mode."""
    arguments: list[str] = []
    if trial.difference:
        arguments += ["--overwrite-strategy", "diff"]
    if trial.changes:
        arguments += [
            "--delete-when",
            f"id % {DELETED} = 1",
            "--delete-missing",
            "--max-delete-share=1",
            "--update-when",
            "source.id >= target.id",
        ]
    if trial.skip and not trial.history:
        arguments += ["--skip-unchanged", "yes"]
    if trial.slice:
        arguments += ["--overwrite-where", f"id BETWEEN 0 AND {ROWS - 1}"]
    return arguments


def ask_and_fail(trial: Trial, place: Place) -> Mapping[str, Any]:
    """Return the request for a kept load that stages all of its parts, and then fails to publish them."""
    request = ask(trial, place)
    return {**request, "arguments": [*request["arguments"], "--before-sql", "SELECT 1 / 0"]}


def _capture_arguments(_: Trial, place: Place, __: str) -> list[str]:
    return ["--table", TABLE, "--into", "shop.copy", "--once", *place.flags()]


def _copy_arguments(trial: Trial, place: Place, identity: str) -> list[str]:
    """Both tables are on the one server: a connection to either is one of the job's."""
    source = f"postgresql://{LOADER}@127.0.0.1:{place.port}/{place.database}?sslmode=disable"
    arguments = ["--source-url", source, "--source-table", ORIGIN, "--parallelism", "3"]
    arguments += ["--table", TABLE, "--mode", trial.mode, "--load-id", identity]
    return [*arguments, *(["--keys", keys(trial)] if keys(trial) else []), *place.flags()]


def _release_arguments(trial: Trial, place: Place, identity: str) -> list[str]:
    target: dict[str, Any] = {"table": TABLE, "source": str(place.source), "select": _select(trial), "mode": trial.mode}
    target |= {"verify": trial.verify, **({"keys": keys(trial)} if keys(trial) else {})}
    path = place.folder / f"release-{identity.replace('/', '-')}.json"
    path.write_text(release.manifest(trial, place.folder, identity, target))
    return ["--manifest", str(path), "--load-id", identity, *place.flags()]


def _query_arguments(_: Trial, place: Place, identity: str) -> list[str]:
    sql = f"SELECT 'not this'; DELETE FROM {TABLE} WHERE id % 2 = 0 RETURNING id, version, text"
    return ["--sql", sql, "--target", str(place.lake), "--load-id", identity, *place.flags()]


def _extract_arguments(trial: Trial, place: Place, _: str) -> list[str]:
    arguments = ["--table", TABLE, "--target", str(place.lake), "--parallelism", "3"]
    if trial.flow == "incremental":
        arguments += ["--write-mode", "append", "--ordinal-column", "version", "--watermark-id", "lake"]
        arguments += ["--deletes"] if trial.deletes else []
    else:
        arguments += ["--write-mode", "overwrite"]
    return [*arguments, *place.flags()]


def _select(trial: Trial) -> str:
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
