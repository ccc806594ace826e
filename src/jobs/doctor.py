"""Examine what a load needs, in order, from the settings to the privileges of the role, and show the load's plan."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jobs.cli.failure import FAILED, first_line
from jobs.cli.flags import add_common_options, add_connection_options, connection_of
from jobs.cli.load_flags import add_load_options
from jobs.cli.load_of import check_options, job_of, move_of, source_of
from jobs.cli.run import run_job, start_spark
from jobs.dbaccess.conninfo.resolve import Resolved
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.doctor.examine import examine
from jobs.flows.doctor.finding import Finding, as_json, healthy
from jobs.flows.doctor.target import Wanted
from jobs.flows.doctor.way import store_of

if TYPE_CHECKING:
    from jobs.flows.load.dry_run.data import Data
    from jobs.flows.load.dry_run.plan import LoadPlan
    from jobs.flows.load.job import LoadJob

EXAMPLES = """
examples:
  The way to the server, and the server:
    doctor.py --service shop

  Also the table, and the privileges of an upsert:
    doctor.py --table sales.orders --mode upsert --secret-id shop/loader --json

  Also the files, and the plan of the load, by the flags of load_table.py:
    doctor.py --source s3://bucket/orders/day=2026-11-20/ --table sales.orders --mode upsert --keys id \\
      --secret-id shop/loader

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
    options = parse(arguments)
    if _has_source(options):
        check_options(options)
    _wanted(options, Planning(options, {}))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if _has_source(options) and options.table is None:
        source = "--source" if options.source_table is None else "--source-table"
        parser.error(f"{source} needs --table, the table that is to be loaded")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="doctor.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    places = parser.add_argument_group("S3")
    places.add_argument(
        "--read",
        action="append",
        default=[],
        metavar="S3_URI",
        help="list this place, and read one byte; repeat for more. Each --source on S3 is examined, too",
    )
    places.add_argument(
        "--write", action="append", default=[], metavar="S3_URI", help="write an empty object there, and delete it"
    )
    parser.add_argument("--json", action="store_true", help="print findings and plan as JSON")
    add_load_options(parser)
    add_connection_options(parser)
    add_common_options(parser)
    return parser


class Planning:
    """The load that the options describe: whether its data fits the table, and its plan.

    Attributes:
        plan: The plan; None if none was made.
    """

    def __init__(self, options: argparse.Namespace, environ: Mapping[str, str]) -> None:
        self.plan: LoadPlan | None = None
        self._options, self._environ = options, environ
        self._resolved: Resolved | None = None
        self._data: Data | None = None

    def resolve(self) -> Resolved:
        """Return the settings of the connection."""
        self._resolved = connection_of(self._options, self._environ)
        return self._resolved

    def fit(self, session: Session) -> str:
        """Return a line about how the data fits the table.

        Raises:
            JobError: It does not, or it cannot be read.
        """
        from jobs.flows.load.dry_run.fit import fit  # Spark is needed for this alone

        job = self._job()
        return fit(session, job, self._look(job).schema).line()

    def line(self, session: Session) -> str:
        """Make the plan, and return a line about it.

        Raises:
            JobError: The load would fail like this.
        """
        from jobs.flows.load.dry_run.foresee import NotForeseen, foresee

        job = self._job()
        try:
            self.plan = foresee(session, job, lambda: self._look(job))
        except NotForeseen as error:
            return f"none is shown: {error}"
        return self.plan.line()

    def _job(self) -> LoadJob:
        check_options(self._options)
        resolved = self._resolved or self.resolve()
        return job_of(self._options, self._environ, resolved.settings)

    def _look(self, job: LoadJob) -> Data:
        """Return the columns of the data and its parts, read once."""
        from jobs.flows.load.dry_run.data import data_of

        options = self._options
        if self._data is None:
            try:
                self._data = data_of(
                    job, source_of(options), lambda: start_spark(f"pgjobs doctor {options.table}", options.verbose)
                )
            except JobError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever Spark raises: it is a finding, and others follow
                flags = "--source, --format, --option" if options.source_table is None else "--source-table"
                raise JobError(first_line(error), f"Check {flags} and --select.") from None
        return self._data


def _wanted(options: argparse.Namespace, planning: Planning) -> Wanted:
    sources = [path for path in options.source or () if path.startswith(("s3:", "s3a:", "s3n:"))]
    return Wanted(
        table=None if options.table is None else TableName.parse(options.table),
        mode=move_of(options).privileges,
        ledger=Ledger.parse(options.marker_table),
        fit=planning.fit if _has_source(options) else None,
        plan=planning.line if _has_source(options) else None,
        read=tuple(dict.fromkeys([*options.read, *sources])),
        written=tuple(options.write),
    )


def _has_source(options: argparse.Namespace) -> bool:
    return options.source is not None or options.source_table is not None


def doctor(options: argparse.Namespace, environ: Mapping[str, str], findings: list[Finding]) -> None:
    """Examine, and print each finding when it is made, and the plan at the end."""
    planning = Planning(options, environ)
    if options.show_connection:
        sys.stdout.write(planning.resolve().table())
        return
    store = store_of(options.secret_id, options.ssm_parameter, options.iam_auth, options.aws_region, environ)
    for finding in examine(planning.resolve, _wanted(options, planning), environ, store):
        findings.append(finding)
        if not options.json:
            sys.stdout.write(line(finding))
            sys.stdout.flush()
    plan = planning.plan
    document = json.dumps({**as_json(findings), "plan": plan and json.loads(plan.to_json())}, indent=2)
    if options.json:
        sys.stdout.write(f"{document}\n")
    elif plan is not None:
        sys.stdout.write(f"\n{plan.summary()}\n")
    if options.report is not None:
        options.report.write_text(document)


def line(finding: Finding) -> str:
    """Return a finding as a line of a table; advice is a second line."""
    advice = f"{'':27}-> {finding.advice}\n" if finding.advice else ""
    return f"{finding.state:8} {finding.check:17} {finding.found}\n{advice}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
