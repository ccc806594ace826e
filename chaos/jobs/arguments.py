"""The command line of each job, as a user writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos.jobs.manifest import manifest
from chaos.jobs.names import ORIGIN, TABLE, keys
from chaos.jobs.place import Place
from chaos.jobs.select import select
from chaos.plan.flows import CAPTURE, COPY_TABLE, FILES_ONLY, FOLLOW, KEPT, LOADS, ONE_PART, PARTS, QUERY, RELEASE
from chaos.plan.ids import DELETED, LEAVES_WINDOW, LEFT_OUT, ROWS
from chaos.plan.trial import Trial
from chaos.stage.database import LOADER


def _load_arguments(trial: Trial, place: Place, identity: str) -> list[str]:
    mode = "history" if trial.history else trial.mode
    arguments = ["--source", str(place.source), "--table", TABLE, "--mode", mode, "--load-id", identity]
    if trial.flow != FOLLOW or trial.input == "shuffled" or trial.fault in FILES_ONLY:
        arguments += ["--select", select(trial)]
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


def _capture_arguments(_: Trial, place: Place, __: str) -> list[str]:
    return ["--table", TABLE, "--into", "shop.copy", "--once", *place.flags()]


def _copy_arguments(trial: Trial, place: Place, identity: str) -> list[str]:
    """Both tables are on the one server: a connection to either is one of the job's."""
    source = f"postgresql://{LOADER}@127.0.0.1:{place.port}/{place.database}?sslmode=disable"
    arguments = ["--source-url", source, "--source-table", ORIGIN, "--parallelism", "3"]
    arguments += ["--table", TABLE, "--mode", trial.mode, "--load-id", identity]
    return [*arguments, *(["--keys", keys(trial)] if keys(trial) else []), *place.flags()]


def _release_arguments(trial: Trial, place: Place, identity: str) -> list[str]:
    target: dict[str, Any] = {"table": TABLE, "source": str(place.source), "select": select(trial), "mode": trial.mode}
    target |= {"verify": trial.verify, **({"keys": keys(trial)} if keys(trial) else {})}
    path = place.folder / f"release-{identity.replace('/', '-')}.json"
    path.write_text(manifest(trial, place.folder, identity, target))
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


Arguments = Callable[[Trial, Place, str], "list[str]"]
"""The arguments of a trial's job, at a place, with a load id."""

COMMANDS: dict[str, tuple[str, Arguments]] = {
    **dict.fromkeys((*LOADS, ONE_PART, PARTS, FOLLOW), ("load_table", _load_arguments)),
    "extract": ("extract_table", _extract_arguments),
    "incremental": ("extract_table", _extract_arguments),
    QUERY: ("run_query", _query_arguments),
    CAPTURE: ("capture_changes", _capture_arguments),
    COPY_TABLE: ("copy_table", _copy_arguments),
    RELEASE: ("load_release", _release_arguments),
}
"""The jobs that are commands, each with its entrypoint and its arguments."""
