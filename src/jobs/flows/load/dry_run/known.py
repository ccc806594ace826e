"""What the catalog says about the tables of a load that is only planned."""

from __future__ import annotations

from dataclasses import replace

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.publications import publications_of_new
from jobs.dbaccess.catalog.relatives import relatives
from jobs.dbaccess.catalog.row_triggers import takes_every_row
from jobs.dbaccess.catalog.unique_indexes import equalities, respelled
from jobs.dbaccess.load import index_settings
from jobs.dbaccess.load.dry_run.steps import Known
from jobs.dbaccess.load.move import overwrite
from jobs.dbaccess.load.move.by_keys import history, merge
from jobs.dbaccess.load.partitions.new import default_of
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.load.dry_run.fit import Fit
from jobs.flows.load.targets.target import Target

_EQUALS = 'OPERATOR("pg_catalog".=)'


def known_of(session: Session, fitted: Fit, markers: TableName, creates_markers: str) -> Known:
    """Return what the catalog says.

    Raises:
        UsageError: The condition of a slice of a new table is not a boolean expression.
    """
    table, target = fitted.table, fitted.target
    assumed = dict.fromkeys(target.move.keys, _EQUALS)
    known = Known(markers, creates_markers, equalities=assumed, raising=index_settings.raising(session))
    if table is None:
        _check_condition_of_new(session, target)
        known = replace(known, merges=target.move.changes.by_statements)
        published = publications_of_new(session, target.name)
        return replace(known, types=target.new_types, is_logged=target.is_staging and not published)
    at_once = False
    if target.move.mode == "overwrite" and target.move.strategy != "diff":
        with session.transaction():
            at_once = overwrite.check(session, target.move, target.name).is_one_statement
    if target.move.keeps_history:
        with session.transaction():
            known = replace(known, time_type=history.check(session, target.move, target.name))
    return replace(
        known,
        is_partitioned=table.kind == tables.PARTITIONED,
        takes_every_row=takes_every_row(session, target.name),
        at_once=at_once,
        merges=target.move.mode == "upsert" and merge.is_needed(session, target.move, target.name),
        marks_by_time=_marks_by_time(session, target),
        equalities={**assumed, **equalities(session, target.name, target.move.keys)},
        respelled=respelled(session, target.name, target.move.keys),
        relatives=relatives(session, target.name),
        default=_default_of(session, target.name),
    )


def _default_of(session: Session, name: TableName) -> TableName | None:
    found = default_of(session, name)
    return found[0] if found else None


def _marks_by_time(session: Session, target: Target) -> bool:
    added = {definition.name for definition in target.metadata}
    return target.move.changes.soft_delete not in added and merge.marks_by_time(session, target.move, target.name)


def _check_condition_of_new(session: Session, target: Target) -> None:
    """Check the condition of a slice over the columns that the new table will have."""
    if target.move.where is None:
        return
    columns = ", ".join(f"NULL::{type_} AS {quote_name(name)}" for name, type_ in zip(target.columns, target.new_types))
    relation = f"(SELECT {columns}) AS {quote_name(target.name.name)}"
    overwrite.check_where(session, target.move.where, relation, target.name)
