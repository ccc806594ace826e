"""Examine what a load needs, in order, from the settings to the rights of the role."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence

from jobs.cli.failure import FAILED
from jobs.cli.flags import add_common_options, add_connection_options, add_marker_table, connection_of
from jobs.cli.run import run_job
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move.modes import MODES
from jobs.dbaccess.sql import TableName
from jobs.flows.doctor import Finding, Wanted, as_json, examine, healthy

EXAMPLES = """
examples:
  doctor.py --service shop
  doctor.py --table sales.orders --mode upsert --secret-id shop/loader --json

exit status: 0 nothing stops a load; 1 something does; 2 wrong usage
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Examine, print the findings, and return the exit status."""
    options = parse(arguments)
    findings: list[Finding] = []
    status = run_job(lambda: doctor(options, environ, findings), options.verbose)
    return status or (0 if healthy(findings) else FAILED)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments without a database. `pgjobs submit` does so before it starts a run.

    Raises:
        SystemExit: The command line is wrong, or asks for help.
        UsageError: An argument has a value that cannot be right.
    """
    _wanted(parse(arguments))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    return build_parser().parse_args(arguments)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="doctor.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    target = parser.add_argument_group("target")
    target.add_argument("--table", metavar="[SCHEMA.]TABLE", help="also examine the rights that a load into it needs")
    target.add_argument("--mode", choices=MODES, default="append", help="the load's mode; default: append")
    add_marker_table(target)
    places = parser.add_argument_group("S3")
    places.add_argument(
        "--read",
        action="append",
        default=[],
        metavar="S3_URI",
        help="list this place, and read one byte; repeat for more",
    )
    places.add_argument(
        "--write", action="append", default=[], metavar="S3_URI", help="write an empty object there, and delete it"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_connection_options(parser)
    add_common_options(parser)
    return parser


def _wanted(options: argparse.Namespace) -> Wanted:
    table = None if options.table is None else TableName.parse(options.table)
    markers = Ledger.parse(options.marker_table).table
    return Wanted(table, options.mode, markers, tuple(options.read), tuple(options.write))


def doctor(options: argparse.Namespace, environ: Mapping[str, str], findings: list[Finding]) -> None:
    """Examine, and print each finding when it is made."""
    if options.show_connection:
        sys.stdout.write(connection_of(options, environ).table())
        return
    for finding in examine(lambda: connection_of(options, environ), _wanted(options), environ):
        findings.append(finding)
        if not options.json:
            sys.stdout.write(line(finding))
            sys.stdout.flush()
    document = json.dumps(as_json(findings), indent=2)
    if options.json:
        sys.stdout.write(f"{document}\n")
    if options.report is not None:
        options.report.write_text(document)


def line(finding: Finding) -> str:
    """Return a finding as a line of a table; advice is a second line."""
    advice = f"{'':23}-> {finding.advice}\n" if finding.advice else ""
    return f"{finding.state:8} {finding.check:13} {finding.found}\n{advice}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
