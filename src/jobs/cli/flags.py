"""The flags that all jobs share, and the settings that they give."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping

from jobs.cli.report_file import ReportFile
from jobs.dbaccess.conninfo.resolve import Resolved
from jobs.dbaccess.conninfo.settings import SSL_MODES
from jobs.dbaccess.conninfo.uri import states_password
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.ledger import MARKER_TABLE
from jobs.flows.connection import resolve_connection
from jobs.lineage.sender import KEY, endpoint

FORMATS = ("parquet", "csv", "json", "orc")
"""Formats of the files that jobs read and write."""

# Flags that state one value each; the flag is libpq's name for it.
_SINGLE_VALUES = {
    "host": "name or address, also with a port: h:5433; several: a,b",
    "port": "default: 5432",
    "dbname": "the database",
    "user": "the role to log in as",
    "sslmode": f"{', '.join(SSL_MODES)}; default: prefer, and verify-full for RDS",
    "sslrootcert": "file of trusted authorities, or: system",
    "sslcert": "file of the client's certificate",
    "sslkey": "file of its private key",
}

logger = logging.getLogger(__name__)


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where the database is."""
    group = parser.add_argument_group(
        "connection",
        "A complete connection, single values, or both. PG* variables supply the rest. The password comes from "
        "PGPASSWORD, ~/.pgpass or AWS.",
    )
    whole = group.add_mutually_exclusive_group()
    whole.add_argument("--database-url", metavar="URL", help="postgresql://user@host:5432/dbname?sslmode=verify-full")
    whole.add_argument("--connection", metavar="ID", help="an Airflow connection: AIRFLOW_CONN_<ID>")
    whole.add_argument("--service", metavar="NAME", help="a service of libpq's service file")
    for name, meaning in _SINGLE_VALUES.items():
        group.add_argument(f"--{name}", help=meaning)
    _add_aws_options(parser)
    group.add_argument(
        "--connect-deadline",
        type=seconds,
        metavar="SECONDS",
        help="how long to try to connect; default: 60",
    )
    group.add_argument("--show-connection", action="store_true", help="print each value and its origin, and exit")


def _add_aws_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the password, from AWS", "Read or signed for each connection.")
    store = group.add_mutually_exclusive_group()
    store.add_argument(
        "--secret-id", metavar="ID", help="name or ARN of a secret; it may also state host, port, dbname and user"
    )
    store.add_argument(
        "--ssm-parameter", metavar="NAME", help="name of a SecureString in Parameter Store; it may state the same"
    )
    store.add_argument(
        "--iam-auth",
        action="store_true",
        help="no password: IAM authentication tokens of RDS, signed with the job's role",
    )
    group.add_argument(
        "--aws-region", metavar="REGION", default="", help="the region, if neither ARN, host nor environment states it"
    )


def connection_of(options: argparse.Namespace, environ: Mapping[str, str]) -> Resolved:
    """Return the connection settings from the flags and the environment.

    Raises:
        UsageError: a value is missing or cannot be right.
        JobError: AWS did not give the password.
    """
    warn_of_password("--database-url", options.database_url, "set PGPASSWORD, or use --connection or ~/.pgpass")
    return resolve_connection(
        environ,
        values={name: getattr(options, name) for name in _SINGLE_VALUES if getattr(options, name) is not None},
        database_url=options.database_url,
        connection=options.connection,
        service=options.service,
        secret_id=options.secret_id,
        ssm_parameter=options.ssm_parameter,
        iam_auth=options.iam_auth,
        aws_region=options.aws_region,
        connect_deadline=options.connect_deadline,
    )


def warn_of_password(flag: str, url: str | None, instead: str) -> None:
    """Warn of a password in a URL among the arguments.

    Args:
        flag: The flag.
        url: Its value, if it is given.
        instead: What to do in its place.
    """
    if url is not None and states_password(url):
        logger.warning("%s holds a password. Many can see a job's arguments. Leave it out, and %s.", flag, instead)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add every job's flags for its report and its log."""
    parser.add_argument(
        "--report",
        metavar="PATH",
        type=ReportFile,
        help="write a JSON report to this file, also if the job fails; s3:// and other URLs by Hadoop",
    )
    parser.add_argument("--verbose", action="store_true", help="show Spark's log, and stack traces of errors")


def add_lineage_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags for events of OpenLineage."""
    group = parser.add_argument_group("lineage", f"Events of OpenLineage. {KEY} has the server's key.")
    group.add_argument(
        "--lineage-url",
        metavar="URL",
        type=_lineage_url,
        help="report to this server what is read and written: https://host",
    )
    group.add_argument("--lineage-job", metavar="NAME", help="the job's name there; default: that of job and table")


def _lineage_url(text: str) -> str:
    try:
        return endpoint(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_marker_table(group: argparse._ActionsContainer) -> None:
    """Add the flag that names the ledger."""
    group.add_argument(
        "--marker-table",
        metavar="[SCHEMA.]NAME",
        default=MARKER_TABLE,
        help="the table that records load ids, which is Luigi's; default: %(default)s",
    )


def at_least_one(text: str) -> int:
    """Parse a number of at least 1, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def seconds(text: str) -> float:
    """Parse a time of at least 0, for argparse. It may be inf."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:  # nan is not
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def names(text: str) -> tuple[str, ...]:
    """Parse a list of names, `a,b`, for argparse."""
    listed = tuple(text.split(","))
    if "" in listed:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names: A,B")
    return listed
