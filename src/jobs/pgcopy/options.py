"""The options of `pgcopy`: the jobs' flags in Spark's spelling (`--secret-id` is `secretId`), in any letter case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.uri import states_password
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions import columns
from jobs.dbaccess.load.definitions.alterations import STRICT
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.ledger import MARKER_TABLE, Ledger, check_id
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import HISTORY, REPLACE_PARTITIONS, Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.sql import TableName
from jobs.flows.connection import resolve_connection
from jobs.flows.extract.incremental import with_ordinal
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.defined import Defined
from jobs.pgcopy.option_texts import OptionTexts

SNAPSHOT_IDLE = {"dataframe": 4 * 3600.0, "action": 300.0}
"""By the option `snapshot`: seconds for which snapshots are held after the last read, by default. A DataFrame must show
the same rows after an hour in a notebook. An action needs its snapshot only until tasks are run again."""

LONGEST_BATCH = len(f"/{(1 << 63) - 1}")
"""The maximum number of bytes that follow a streamId in the load ids of its batches."""

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
_OVERWRITING = ("overwrite", REPLACE_PARTITIONS)
"""The modes of a load that refine Spark's own overwrite."""

_WRITE = (
    *("table", "mode", "keys", "dedupeOrder", "skipUnchanged", "overriding", "create", "loadId", "streamId"),
    *("markerTable", "columnType", "metadataColumns", "schemaMode", "nullValue"),
    *("deleteWhen", "deleteMissing", "maxDeleteShare", "softDelete", "updateColumns", "updateWhen", "orderBy"),
)
_PUSH_FILTERS = "pushfilters"
"""A former option. Spark does not apply a filter as its interface promises: tests/guarantees/test_spark_pushdown.py."""

_SPARKS = ("path", "checkpointLocation", "queryName")
"""Options that Spark itself may add."""

_OBJECT, _ARRAY = ("a JSON object", '{"id": "bigserial"}'), ("a JSON array", '["NA", ""]')

NAMES = {name.lower(): name for name in (*_CONNECTION, *_READ, *_WRITE, *_SPARKS)}


@dataclass(frozen=True)
class Options(OptionTexts):
    """The given options, by their names in lower case."""

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Options:
        """Check the options that Spark passes.

        Raises:
            UsageError: An option is unknown, or would show a password.
        """
        texts = {name.lower(): text for name, text in given.items()}
        if "password" in texts or ("databaseurl" in texts and states_password(texts["databaseurl"])):
            raise UsageError(
                "Spark's UI, logs and plans show options, so a password must not be one.",
                "Set PGPASSWORD for the driver, or give passfile, secretId, ssmParameter or iamAuth.",
            )
        if _PUSH_FILTERS in texts:
            raise UsageError(
                "pgcopy takes no filters from Spark: Spark 4.1 also applies a pushed-down filter to other actions on "
                "the same DataFrame.",
                "Leave pushFilters out. The option filter, in SQL, is applied by the server.",
            )
        if "provider" in texts:  # as Spark names it to a table that it creates, beside the options by other names
            raise UsageError(
                "A table of Spark's catalog cannot be of pgcopy.",
                "In SQL, write CREATE TEMPORARY VIEW ... USING pgcopy OPTIONS (...), and read it or INSERT INTO it.",
            )
        unknown = [name for name in given if name.lower() not in NAMES]
        if unknown:
            raise UsageError(f"pgcopy has no option {', '.join(unknown)}.", f"It has {', '.join(NAMES.values())}.")
        return cls(texts)

    def identity(self, name: str, reserved: int = 0) -> str | None:
        """Return an id that the ledger will hold; None if it was not given.

        Args:
            name: The option's name.
            reserved: The number of bytes that will be appended to the id.

        Raises:
            UsageError: The id is empty, for example because a variable was not set, or it cannot be recorded.
        """
        given = self.given(name)
        if given is not None:
            check_id(given, f"The option {name}", reserved)
        return given

    def snapshots(self) -> tuple[bool, float]:
        """Return whether each action takes a snapshot of its own, and for how many seconds idle ones are held.

        Raises:
            UsageError: An option has a wrong value.
        """
        scope = self.text("snapshot") or "dataframe"
        if scope not in SNAPSHOT_IDLE:
            raise UsageError(f"The option snapshot is {scope!r}.", "Give dataframe (the default) or action.")
        return scope == "action", self.seconds("snapshotIdle", SNAPSHOT_IDLE[scope])

    def settings(self, environ: Mapping[str, str]) -> Settings:
        """Return the settings of the connection.

        Raises:
            UsageError: A value is missing or wrong.
            JobError: AWS did not return the password.
        """
        return resolve_connection(
            environ,
            values={name: self.text(name) for name in _VALUES if self.text(name)},
            database_url=self.text("databaseUrl") or None,
            connection=self.text("connection") or None,
            service=self.text("service") or None,
            secret_id=self.given("secretId"),
            ssm_parameter=self.given("ssmParameter"),
            iam_auth=self.flag("iamAuth"),
            aws_region=self.text("awsRegion"),
            connect_deadline=self.seconds("connectDeadline") if self.text("connectDeadline") else None,
        ).settings

    def connector(self, environ: Mapping[str, str], subject: object) -> Connector:
        """Return what opens the sessions of a read or write.

        Raises:
            JobError: As for `settings`.
        """
        return Connector(self.settings(environ), "pgcopy", str(subject))

    def wanted(self) -> Wanted:
        """Return what to read.

        Raises:
            UsageError: An option has a wrong value.
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
        """Return the table's name.

        Raises:
            UsageError: It is not given, or is not a name.
        """
        if not self.text("table"):
            raise UsageError("There is no table to write to.", "Give the option table.")
        return TableName.parse(self.text("table"))

    def ledger(self) -> Ledger:
        """Return what records a write.

        Raises:
            UsageError: The option is not a name.
        """
        return Ledger.parse(self.text("markerTable") or MARKER_TABLE)

    def defined(self) -> Defined:
        """Return the columns that the user defines.

        Raises:
            UsageError: A definition is wrong.
        """
        defined = Defined(
            self._definitions("columnType"),
            self._definitions("metadataColumns"),
            schema_mode=self.text("schemaMode") or STRICT,
        )
        defined.check()
        return defined

    def _definitions(self, name: str) -> tuple[Definition, ...]:
        """Return definitions: one as `name=type`, or several as a JSON object."""
        text = self.text(name)
        if not text.startswith("{"):
            return columns.parse([text], f"The option {name}") if text else ()
        return tuple(Definition(column, sql) for column, sql in self.json_of(name, *_OBJECT).items())

    def null_values(self) -> tuple[str, ...]:
        """Return the strings that stand for NULL: one as it is, which may be empty, or several as a JSON array.

        Raises:
            UsageError: It begins like JSON, and is not a list of strings.
        """
        text = self.given("nullValue")
        if text is None:
            return ()
        return tuple(self.json_of("nullValue", *_ARRAY)) if text.startswith("[") else (text,)

    def move(self, overwrite: bool) -> Move:
        """Return how rows are moved into the table.

        Args:
            overwrite: Whether Spark's own mode is overwrite. The option `mode` refines it, as it refines append.

        Raises:
            UsageError: Modes, keys and order contradict each other.
        """
        mode = self.text("mode") or ("overwrite" if overwrite else "append")
        if overwrite != (mode in _OVERWRITING):
            raise UsageError(
                f"The option mode is {mode!r}, which does not match Spark's own mode.",
                "Give append, upsert or ignore with .mode('append'), and replace-partitions with .mode('overwrite').",
            )
        if mode == HISTORY:
            raise UsageError("pgcopy has no mode history.", "Load with load_table.py or load_dataframe.")
        changes = self._changes()
        move = Move(
            mode,
            (),
            self.names("keys"),
            order_of(self.text("dedupeOrder") or None, changes.order_by),
            self.text("skipUnchanged") or "auto",
            max_delete_share=self.share("maxDeleteShare"),
            changes=changes,
            overriding=self.text("overriding"),
        )
        combinations.check(move)
        return move

    def _changes(self) -> Changes:
        changes = Changes(
            delete_when=self.text("deleteWhen") or None,
            delete_missing=self.flag("deleteMissing"),
            soft_delete=self.text("softDelete") or None,
            update_columns=self.names("updateColumns"),
            update_when=self.text("updateWhen") or None,
            order_by=self.names("orderBy"),
        )
        if changes.delete_missing and self.text("streamId"):
            raise UsageError(
                "The option deleteMissing would delete, for each batch of a stream, the rows of all others.",
                "Give deleteWhen, or leave it out.",
            )
        return changes
