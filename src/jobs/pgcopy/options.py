"""The options of `pgcopy`: the jobs' flags in Spark's spelling (`--secret-id` is `secretId`), in any letters' case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.keywords import whole_number
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.uri import states_password
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import ledger
from jobs.dbaccess.load.modes import Move, parse_order
from jobs.dbaccess.sql import TableName
from jobs.flows.connection import resolve_connection
from jobs.flows.extract.incremental import with_ordinal
from jobs.flows.extract.plan import Wanted

SNAPSHOT_IDLE = {"dataframe": 4 * 3600.0, "action": 300.0}
"""By the option `snapshot`: seconds that snapshots are held, by default, after the last one was read in. A DataFrame is
to show its moment after an hour in a notebook; an action only has to find it when tasks are run again."""

LONGEST_BATCH = len(f"/{(1 << 63) - 1}")
"""Bytes of what follows a streamId in the load ids of its batches, at most."""

_VALUES = ("host", "port", "dbname", "user", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile")
"""Connection parameters under libpq's own names."""

_CONNECTION = (
    *_VALUES,
    *("databaseUrl", "connection", "service", "connectDeadline", "secretId", "ssmParameter", "iamAuth", "awsRegion"),
)
_READ = (
    *("table", "query", "columns", "filter", "splitBy", "textColumns", "unboundedNumeric", "requirePrimaryKey"),
    *("parallelism", "snapshot", "snapshotIdle", "maxRowsPerBatch", "ordinalColumn"),
)
_WRITE = ("table", "mode", "keys", "dedupeOrder", "create", "loadId", "streamId")
_PUSH_FILTERS = "pushfilters"
"""An option that was, until a test told that Spark does not keep to it: tests/guarantees/test_spark_pushdown.py."""

_SPARKS = ("path", "checkpointLocation", "queryName")
"""What Spark itself may add."""

_NUMBER = whole_number(1, (1 << 63) - 1)

NAMES = {name.lower(): name for name in (*_CONNECTION, *_READ, *_WRITE, *_SPARKS)}


@dataclass(frozen=True)
class Options:
    """The options that were given, checked.

    Attributes:
        texts: by their names in lower case.
    """

    texts: Mapping[str, str]

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Options:
        """Read what Spark hands over.

        Raises:
            UsageError: an option is unknown, or would show a password.
        """
        texts = {name.lower(): text for name, text in given.items()}
        if "password" in texts or ("databaseurl" in texts and states_password(texts["databaseurl"])):
            raise UsageError(
                "Options are shown by Spark's UI, logs and plans: they take no password.",
                "Set PGPASSWORD for the driver, or give passfile, secretId, ssmParameter or iamAuth.",
            )
        if _PUSH_FILTERS in texts:
            raise UsageError(
                "pgcopy takes no filters from Spark: Spark 4.1 applies one that was pushed down to other actions on "
                "the same DataFrame, too.",
                "Leave pushFilters out. What the server is to apply is the option filter, in SQL.",
            )
        unknown = [name for name in given if name.lower() not in NAMES]
        if unknown:
            raise UsageError(f"pgcopy has no option {', '.join(unknown)}.", f"It has {', '.join(NAMES.values())}.")
        return cls(texts)

    def text(self, name: str) -> str:
        """An option's text; empty where it was not given."""
        return self.texts.get(name.lower(), "")

    def identity(self, name: str, reserved: int = 0) -> str | None:
        """An id that the ledger is to hold; None where it was not given.

        Args:
            name: of the option.
            reserved: bytes that will be appended to the id.

        Raises:
            UsageError: it is empty, as of a variable that was not set, or cannot be recorded.
        """
        given = self.texts.get(name.lower())
        if given is not None:
            ledger.check_id(given, f"The option {name}", reserved)
        return given

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no.

        Raises:
            UsageError: it is neither.
        """
        text = self.text(name).lower() or str(default).lower()
        if text not in {"true", "false"}:
            raise UsageError(f"The option {name} is {self.text(name)!r}.", "Give true or false.")
        return text == "true"

    def number(self, name: str) -> int | None:
        """A number of at least 1; None where it was not given.

        Raises:
            UsageError: it is no such number.
        """
        text = self.text(name)
        try:
            return _NUMBER(text) if text else None
        except ValueError:
            raise UsageError(f"The option {name} is {text!r}.", "Give a number of at least 1.") from None

    def seconds(self, name: str, default: float = 0.0) -> float:
        """A time.

        Raises:
            UsageError: it is none.
        """
        try:
            value = float(self.text(name) or default)
        except ValueError:
            value = -1.0
        if not value >= 0:  # nan is not
            raise UsageError(f"The option {name} is {self.text(name)!r}.", "Give a number of seconds; inf for no end.")
        return value

    def moments(self) -> tuple[bool, float]:
        """Whether each action takes a snapshot of its own, and for how many seconds idle ones are held.

        Raises:
            UsageError: an option cannot be right.
        """
        scope = self.text("snapshot") or "dataframe"
        if scope not in SNAPSHOT_IDLE:
            raise UsageError(f"The option snapshot is {scope!r}.", "Give dataframe (the default) or action.")
        return scope == "action", self.seconds("snapshotIdle", SNAPSHOT_IDLE[scope])

    def names(self, name: str) -> tuple[str, ...]:
        """Names, separated by commas."""
        return tuple(self.text(name).split(",")) if self.text(name) else ()

    def settings(self, environ: Mapping[str, str]) -> Settings:
        """Where the database is.

        Raises:
            UsageError: a value is missing or cannot be right.
            JobError: AWS did not give the password.
        """
        return resolve_connection(
            environ,
            values={name: self.text(name) for name in _VALUES if self.text(name)},
            database_url=self.text("databaseUrl") or None,
            connection=self.text("connection") or None,
            service=self.text("service") or None,
            secret_id=self.texts.get("secretid"),
            ssm_parameter=self.texts.get("ssmparameter"),
            iam_auth=self.flag("iamAuth"),
            aws_region=self.text("awsRegion"),
            connect_deadline=self.seconds("connectDeadline") if self.text("connectDeadline") else None,
        ).settings

    def connector(self, environ: Mapping[str, str], subject: object) -> Connector:
        """Opens the sessions of a read or write.

        Raises:
            JobError: as `settings`.
        """
        return Connector(self.settings(environ), "pgcopy", str(subject))

    def wanted(self) -> Wanted:
        """What is to be read.

        Raises:
            UsageError: an option cannot be right.
        """
        wanted = Wanted(
            table=self.table() if self.text("table") else None,
            query=self.text("query") or None,
            columns=self.names("columns"),
            filter=self.text("filter"),
            split_by=self.text("splitBy"),
            text_columns=self.names("textColumns"),
            unbounded=self.text("unboundedNumeric") or "text",
            require_primary_key=self.flag("requirePrimaryKey"),
            parallelism=self.number("parallelism"),
        )
        return with_ordinal(wanted, self.text("ordinalColumn"))

    def table(self) -> TableName:
        """The table.

        Raises:
            UsageError: it is not given, or no name.
        """
        if not self.text("table"):
            raise UsageError("There is no table to write to.", "Give the option table.")
        return TableName.parse(self.text("table"))

    def move(self, overwrite: bool) -> Move:
        """How rows are to reach the table.

        Args:
            overwrite: whether Spark's own mode says so; else the option `mode` refines Spark's append.

        Raises:
            UsageError: modes, keys and order do not go together.
        """
        mode = "overwrite" if overwrite else self.text("mode") or "append"
        if self.text("mode") not in {"", mode} or (mode == "overwrite" and not overwrite):
            raise UsageError(
                f"The option mode is {self.text('mode')!r}, and Spark's own mode another one.",
                "Give mode only with .mode('append'): append, upsert or ignore.",
            )
        order = parse_order(self.text("dedupeOrder")) if self.text("dedupeOrder") else ()
        move = Move(mode, (), self.names("keys"), order)
        move.check_arguments()
        return move
