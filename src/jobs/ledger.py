"""Show and change the ledger of finished loads: list, show, exists, wait, touch, forget.

Also what failed loads keep in staging (--keep-staging): kept, drop-kept.

An orchestrator asks whether a load has finished, or waits for it. A person makes a load run again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone

from jobs.cli.flags import add_connection_options, add_marker_table, at_least_one, connection_of, seconds
from jobs.cli.run import run_job
from jobs.cli.text_table import text_table
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.kept.listing import Listed, drop_kept, listed
from jobs.dbaccess.load.ledger import Ledger, Marker, check_id
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.report import readable_size

NO = 3
"""The exit status of an answer that is no: there is no such marker, or there was none in time."""

POLL = 1.0
"""Seconds between two looks of `wait`."""

EXAMPLES = """
examples:
  python -m jobs.ledger list --table sales.orders --service shop
  python -m jobs.ledger exists orders/2026-11-20 --service shop && echo "it is loaded"
  python -m jobs.ledger wait orders/2026-11-20 --timeout 3600 --service shop
  python -m jobs.ledger forget orders/2026-11-20 --service shop      # the next run loads it again
  python -m jobs.ledger kept --service shop                          # what failed loads keep, and how large it is
  python -m jobs.ledger drop-kept orders/2026-11-20 --service shop   # the next run copies all of it

exit status: 0 yes, or done; 3 no such marker or nothing kept, or not in time; 2 wrong usage; 1 anything else
"""

Command = Callable[[Session, Ledger, argparse.Namespace], int]


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command, and return its exit status."""
    options = parse(arguments)
    answers: list[int] = []
    status = run_job(lambda: answers.append(ask(options, environ)), options.verbose)
    return answers[0] if answers else status


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    return build_parser().parse_args(arguments)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m jobs.ledger",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (what, _) in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what, allow_abbrev=False)
        if name == "list":
            command.add_argument(
                "--limit", type=at_least_one, default=50, metavar="N", help="the latest N; default: 50"
            )
        elif name != "kept":
            command.add_argument("load_id", metavar="ID", help="the load id")
        if name in ("list", "touch", "kept"):
            command.add_argument("--table", metavar="[SCHEMA.]TABLE", help="the table of the loads")
        if name in ("list", "show", "kept"):
            command.add_argument("--json", action="store_true", help="print JSON")
        if name == "wait":
            command.add_argument("--timeout", type=seconds, default=3600.0, metavar="SECONDS", help="default: 3600")
        add_marker_table(command)
        command.add_argument("--verbose", action="store_true", help="show stack traces of errors")
        add_connection_options(command)
    return parser


def ask(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do what the command says, and return its exit status."""
    ledger = Ledger.parse(options.marker_table)
    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return 0
    with Connector(connection.settings, "ledger", options.command).open() as session:
        _, command = COMMANDS[options.command]
        return command(session, ledger, options)


def _list(session: Session, ledger: Ledger, options: argparse.Namespace) -> int:
    table = None if options.table is None else str(tables.full_name(session, TableName.parse(options.table)))
    found = ledger.markers(session, table=table, limit=options.limit)
    if options.json:
        sys.stdout.write(json.dumps([_as_json(marker) for marker in found], indent=2) + "\n")
    else:
        rows = [(marker.load_id, marker.table, marker.inserted) for marker in found]
        sys.stdout.write(text_table(("load id", "table", "recorded"), rows, options.limit) + "\n")
    return 0


def _show(session: Session, ledger: Ledger, options: argparse.Namespace) -> int:
    found = ledger.markers(session, load_id=options.load_id, limit=1)
    if not found:
        return _no_marker(options.load_id)
    [marker] = found
    line = f"{marker.load_id}: {marker.table or 'no table'}, recorded {marker.inserted or 'at an unknown time'}"
    sys.stdout.write((json.dumps(_as_json(marker), indent=2) if options.json else line) + "\n")
    return 0


def _as_json(marker: Marker) -> dict[str, str | None]:
    recorded = None if marker.inserted is None else marker.inserted.isoformat()
    return {"load_id": marker.load_id, "table": marker.table, "inserted": recorded}


def _exists(session: Session, ledger: Ledger, options: argparse.Namespace) -> int:
    return 0 if ledger.exists(session, options.load_id) else NO


def _wait(session: Session, ledger: Ledger, options: argparse.Namespace) -> int:
    """Look once a second: the marker appears when its transaction is committed, which no lock or signal shows."""
    deadline = time.monotonic() + options.timeout
    while _exists(session, ledger, options):
        if time.monotonic() >= deadline:
            sys.stderr.write(f"The load {options.load_id!r} was not recorded within {options.timeout:g} s.\n")
            return NO
        time.sleep(min(POLL, max(deadline - time.monotonic(), 0)))
    return 0


def _touch(session: Session, ledger: Ledger, options: argparse.Namespace) -> int:
    """Record a load that was done by other means."""
    if options.table is None:
        raise UsageError("A marker names a table.", "Give --table.")
    check_id(options.load_id)
    ledger.ensure(session)
    table = tables.full_name(session, TableName.parse(options.table))
    if ledger.record(session, options.load_id, str(table)):
        sys.stdout.write(f"recorded: {options.load_id} for {table}\n")
    elif ledger.is_recorded(session, options.load_id, table):
        sys.stdout.write(f"recorded before: {options.load_id} for {table}\n")
    return 0


def _forget(session: Session, ledger: Ledger, options: argparse.Namespace) -> int:
    if not ledger.forget(session, options.load_id):
        return _no_marker(options.load_id)
    sys.stdout.write(
        f"forgotten: {options.load_id}. The next load with this id loads its rows; those of before stay.\n"
    )
    return 0


def _kept(session: Session, _: Ledger, options: argparse.Namespace) -> int:
    """List what failed loads keep in staging, whichever ledger they use."""
    table = None if options.table is None else str(tables.full_name(session, TableName.parse(options.table)))
    found = [one for one in listed(session) if table in (None, one.note.target)]
    if options.json:
        sys.stdout.write(json.dumps([_kept_as_json(one) for one in found], indent=2) + "\n")
        return 0
    rows = [
        (
            *(one.note.load_id, one.note.target, f"{'?' if one.claimed is None else one.claimed} of {one.note.parts}"),
            *(readable_size(one.size), "in use" if one.in_use else one.note.date, one.owner),
        )
        for one in found
    ]
    sys.stdout.write(text_table(("load id", "table", "parts", "size", "until", "owner"), rows, len(rows)) + "\n")
    return 0


def _kept_as_json(one: Listed) -> dict[str, object]:
    until = datetime.fromtimestamp(one.note.until, timezone.utc).isoformat()
    return {
        "load_id": one.note.load_id,
        "table": one.note.target,
        "parts": one.note.parts,
        "parts_kept": one.claimed,
        "bytes": one.size,
        "until": until,
        "in_use": one.in_use,
        "owner": one.owner,
    }


def _drop_kept(session: Session, _: Ledger, options: argparse.Namespace) -> int:
    found = listed(session, options.load_id)
    for one in found:
        drop_kept(session, one)
        sys.stdout.write(f"dropped: {readable_size(one.size)} of {options.load_id} for {one.note.target}\n")
    if not found:
        sys.stderr.write(f"Nothing is kept of the load id {options.load_id!r}.\n")
    return 0 if found else NO


def _no_marker(load_id: str) -> int:
    sys.stderr.write(f"There is no marker of the load id {load_id!r}.\n")
    return NO


COMMANDS: Mapping[str, tuple[str, Command]] = {
    "list": ("list the latest markers", _list),
    "show": ("show the marker of a load id", _show),
    "exists": ("say by the exit status whether a load id is recorded", _exists),
    "wait": ("wait until a load id is recorded", _wait),
    "touch": ("record a load id without loading anything", _touch),
    "forget": ("delete the marker of a load id, so that it can be loaded again", _forget),
    "kept": ("list what failed loads keep in staging, by --keep-staging", _kept),
    "drop-kept": ("drop what a failed load keeps in staging, so that its next run copies all parts", _drop_kept),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
