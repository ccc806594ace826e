"""The load that a command line describes, by the flags of `load_flags`.

What needs Spark is imported by the functions that use it: flags are also checked where there is no Spark.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jobs.cli.flags import FORMATS
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import scripts
from jobs.dbaccess.load.copying.direct import PARTS, check_parts
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.definitions.columns import COLUMN_TYPE, METADATA, Definition
from jobs.dbaccess.load.definitions.shape import PartitionBy, parse_partition_by
from jobs.dbaccess.load.followed.decision import check_followed
from jobs.dbaccess.load.kept.notes import check_keep
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.changes import Changes, History
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.rejects.policy import QUARANTINE, Policy, check_policy
from jobs.dbaccess.sql import TableName
from jobs.flows.file_options import mode_of, parse_options
from jobs.flows.source_tables import CatalogTable, check
from jobs.flows.sql_file import read_sql

if TYPE_CHECKING:
    from jobs.flows.load.job import LoadJob
    from jobs.flows.load.sources import Source


def check_options(options: argparse.Namespace) -> None:
    """Check the options without Spark and without a database.

    Raises:
        UsageError: An option has a value that cannot be right.
    """
    check_source(options)
    Ledger.parse(options.marker_table)
    _definitions(options)
    indexes.check(options.index)
    _partition_by(options)
    if options.table is not None:
        TableName.parse(options.table)
    scripts.parse(options.before_sql, options.after_sql)
    move = move_of(options)
    combinations.check(move)
    if options.changes_since_ledger is not None:
        check_followed(move, keeps=options.keep_staging is not None, quarantines=options.on_error == QUARANTINE)
    if options.verify:
        combinations.check_verify(move)
    _check_publish(options, move)


def source_of(options: argparse.Namespace) -> Source:
    """Return what is to be read: files, or a table of Spark's catalogs."""
    from jobs.flows.load.files import Files

    select = options.select or ""
    if options.source_table is not None:
        return CatalogTable(options.source_table, options.source_version, select)
    return Files(options.source, options.format or FORMATS[0], options.option, options.schema, select)


def job_of(options: argparse.Namespace, environ: Mapping[str, str], settings: Settings) -> LoadJob:
    """Return the load that the options describe.

    Raises:
        UsageError: They do not fit together, or a file of SQL cannot be read.
    """
    from jobs.flows.load.defined import Defined
    from jobs.flows.load.job import LoadJob, new_load_id
    from jobs.flows.load.pace.governor import Limits
    from jobs.flows.load.stage import Copying

    move = move_of(options)
    _check_publish(options, move)
    return LoadJob(
        table=TableName.parse(options.table),
        settings=settings,
        load_id=new_load_id() if options.load_id is None else options.load_id,
        move=move,
        create=options.create,
        copying=Copying(options.parallelism),
        wait_for_load=options.wait_for_load,
        verify=options.verify,
        scripts=scripts.parse(_script(options, "before", environ), _script(options, "after", environ)),
        ledger=Ledger.parse(options.marker_table),
        lock_timeout=options.lock_timeout,
        publish=options.publish,
        keep_staging=options.keep_staging,
        show_values=options.show_values,
        policy=_policy(options),
        defined=Defined(
            *_definitions(options),
            tuple(options.index),
            partition_by=_partition_by(options),
            not_null=options.not_null,
            schema_mode=options.schema_mode,
        ),
        null_values=tuple(options.null_value),
        limits=Limits(options.max_replica_lag, options.max_wal_rate),
        nul=options.nul,
    )


def move_of(options: argparse.Namespace) -> Move:
    """Return how the options move rows.

    Raises:
        UsageError: An order or the columns of a history are none.
    """
    order_by = _names(options.order_by)
    return Move(
        options.mode,
        (),
        _names(options.keys),
        order_of(options.dedupe_order, order_by),
        options.skip_unchanged,
        where=options.overwrite_where,
        strategy=options.overwrite_strategy,
        max_delete_share=options.max_delete_share,
        changes=Changes(
            delete_when=options.delete_when,
            delete_missing=options.delete_missing,
            soft_delete=options.soft_delete,
            update_columns=_names(options.update_columns),
            update_when=options.update_when,
            order_by=order_by,
        ),
        new_partitions=options.new_partitions,
        history=History.of(_names(options.history_columns), options.as_of),
        overriding=options.overriding,
    )


def check_source(options: argparse.Namespace) -> None:
    """Check the flags of what is read.

    Raises:
        UsageError: One has a value that cannot be right, or they do not fit together.
    """
    if options.source_table is None:
        mode_of(parse_options(options.option, options.format or FORMATS[0]))
        if options.source_version:
            raise UsageError("--source-version is for --source-table.", "Leave it out.")
        return
    given = [f"--{flag}" for flag in OF_FILES if getattr(options, flag)]
    if given:
        raise UsageError(f"{', '.join(given)}: for files, and not for --source-table.", "Leave it out.")
    check(CatalogTable(options.source_table, options.source_version))


OF_FILES = ("format", "option", "schema")
"""What says how files are read."""


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _policy(options: argparse.Namespace) -> Policy:
    return Policy(options.on_error, options.max_errors, options.max_error_rate)


def _check_publish(options: argparse.Namespace, move: Move) -> None:
    check_keep(options.keep_staging, move, options.publish, has_id=options.load_id is not None)
    check_policy(_policy(options), move, options.publish, keeps=options.keep_staging is not None)
    if options.publish == PARTS:
        sql = [getattr(options, f"{name}_sql") or getattr(options, f"{name}_sql_file") for name in ("before", "after")]
        check_parts(
            move,
            any(sql),
            verify=options.verify,
            has_id=options.load_id is not None,
            has_indexes=bool(options.index),
            is_partitioned=options.partition_by is not None,
            schema_mode=options.schema_mode,
        )


def _partition_by(options: argparse.Namespace) -> PartitionBy | None:
    return None if options.partition_by is None else parse_partition_by(options.partition_by)


def _script(options: argparse.Namespace, name: str, environ: Mapping[str, str]) -> str | None:
    path: str | None = getattr(options, f"{name}_sql_file")
    text: str | None = getattr(options, f"{name}_sql")
    return text if path is None else read_sql(path, environ, f"--{name}-sql-file")


def _definitions(options: argparse.Namespace) -> tuple[tuple[Definition, ...], tuple[Definition, ...]]:
    types = columns.parse(options.column_type, COLUMN_TYPE)
    metadata = columns.parse(options.metadata_columns, METADATA)
    columns.check([*types, *metadata], f"{COLUMN_TYPE} or {METADATA}")
    return types, metadata
