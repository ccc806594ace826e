"""Staged rows that violate a constraint of the table: found by queries over all rows at once, and put aside.

Publish inserts all rows first, within a savepoint. Only if the server refuses that, the violating rows are looked for,
so that a load without any does not pay for it. Which rows are put aside follows from inserting the rows one by one in
the order in which they are staged:

1. NOT NULL, CHECK, and the bounds of partitions, which depend on the row alone.
2. Rows that conflict, by a unique or exclusion constraint, with a row of the table.
3. Foreign keys. A row may reference another row of the same load.
4. Unique and exclusion constraints, all at once: rows that conflict with an earlier staged row that stays. A row that
   conflicts only with rows that are put aside, stays.
5. Foreign keys of the table to itself, again: the row that is referenced may have been put aside.

`--mode ignore` without keys leaves out rows that conflict, before foreign keys are checked: of 2 to 5, it knows only
the foreign keys of rows that it inserts.

The queries are parsed with the names of pg_catalog alone, as views, and run on the user's path, as the server's own
checks are: a function that a CHECK calls may look up names there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog.unique_indexes import equalities
from jobs.dbaccess.load.move.modes import Move, apart
from jobs.dbaccess.load.rejects import conflicts
from jobs.dbaccess.load.rejects.conflicts import PLACE
from jobs.dbaccess.load.rejects.places import Seeking
from jobs.dbaccess.load.rejects.reasons import reason_of
from jobs.dbaccess.load.rejects.row_rules import Column, Exclusion, ForeignKey, Rule, Rules, Unique
from jobs.dbaccess.load.rejects.table_rules import rules_of
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal, quote_name


@dataclass(frozen=True)
class Checked:
    """What is checked: staged rows that are to be moved into a table.

    Attributes:
        rejects: The table of rejects in staging.
        seeking: How the places of such rows are found out; None if they are not.
    """

    staging: Staging
    rejects: TableName
    target: TableName
    move: Move
    seeking: Seeking | None = None


def put_aside(session: Session, checked: Checked) -> int:
    """Put aside the staged rows that violate a constraint of the table, and return their number.

    The transaction has locked staging. Call this within `exact_forms`, on a pinned session.

    Raises:
        DatabaseError: The rows cannot be checked: this user may not read a table, or a check raises an error.
    """
    rules = rules_of(session, checked.target, checked.move.columns)
    source = _source(checked, rules.columns)
    removed = _remove(session, checked, _local(source, rules.local), rules.local)
    if checked.move.mode == "ignore" and not checked.move.keys and (rules.unique or rules.exclusion):
        return removed + _put_aside_inserted(session, checked, source, rules)
    source = _inserted(checked, source, rules)
    same_keys = equalities(session, checked.target, checked.move.keys)
    for query, queried in _against_target(checked, source, rules, same_keys):
        removed += _remove(session, checked, query, queried)
    for query, queried in _among_staged(checked, source, rules):
        while some := _remove(session, checked, query, queried):
            removed += some
    return removed


def _source(checked: Checked, columns: Sequence[Column]) -> str:
    """Return a query for the staged rows as rows of the table: with defaults, and generated columns."""
    given = set(checked.move.columns)
    plain = [
        quote_name(column.name)
        if column.name in given
        else f"({column.default or 'NULL'})::{column.type_name} AS {quote_name(column.name)}"
        for column in columns
        if not column.generated
    ]
    rows = checked.move.source(checked.staging.rows, f"ctid AS {PLACE}")
    query = f"SELECT {PLACE}, {', '.join(plain)} FROM ({rows}) AS staged"
    generated = [f"({column.default}) AS {quote_name(column.name)}" for column in columns if column.generated]
    return f"SELECT *, {', '.join(generated)} FROM ({query}) AS whole" if generated else query


def _inserted(checked: Checked, source: str, rules: Rules) -> str:
    """Return a query for those of the rows that the mode inserts or updates: it may leave out keys that are there."""
    move = checked.move
    arbiter = next((rule for rule in rules.unique if _is_resolved(move, rule)), None)
    if move.mode != "ignore" or arbiter is None:
        return source
    keys = ", ".join([*arbiter.keys, *([] if arbiter.nulls_are_equal else [apart(arbiter.keys, PLACE)])])
    same = conflicts.conflict(arbiter, arbiter.keys)
    there = f"EXISTS (SELECT FROM {rules.relation} AS t WHERE {same})"
    return f"SELECT DISTINCT ON ({keys}) * FROM ({source}) AS s WHERE NOT {there} ORDER BY {keys}, {PLACE}"


def _put_aside_inserted(session: Session, checked: Checked, source: str, rules: Rules) -> int:
    """Put aside rows that violate a foreign key, of those that ON CONFLICT DO NOTHING, without keys, inserts.

    It leaves out a row that conflicts with one that is inserted before. A row behind no other one is inserted, unless
    it is put aside. Then it is known that the rows that conflict with it are left out, and which of the rest are behind
    no other one. What rows reference in the same table is looked for when all of that is known; if one is put aside for
    it, all of that has changed.
    """
    left_out = checked.rejects.sibling(checked.rejects.name + "_l")
    rest = _except(source, f"SELECT place FROM {left_out.quoted}")
    first = _except(rest, conflicts.behind(rest, rules.unique, rules.exclusion))
    there = [conflicts.conflicting(source, rules.relation, rule) for rule in (*rules.unique, *rules.exclusion)]
    later = conflicts.later(rest, rules.unique, rules.exclusion)
    own = [reference for reference in rules.foreign if reference.table == checked.target]
    others = [reference for reference in rules.foreign if reference.table != checked.target]

    def remove(references: Sequence[ForeignKey], rows: str, staged: str) -> int:
        queries = [_unreferenced(checked, rows, reference, staged) for reference in references]
        return sum(_remove(session, checked, query, [rule]) for query, rule in zip(queries, references))

    removed = 0
    while True:
        session.run(f"CREATE UNLOGGED TABLE {left_out.quoted} (place tid)")
        _leave_out(session, checked, left_out, " UNION ALL ".join(there))
        is_open = True
        while is_open:
            while some := remove(others, first, rest):
                removed += some
            is_open = _leave_out(session, checked, left_out, later) > 0
        gone = remove(own, rest, source) or remove(own, rest, rest)
        session.run(f"DROP TABLE {left_out.quoted}")
        removed += gone
        if not gone:
            return removed


def _except(source: str, places: str) -> str:
    return f"SELECT * FROM ({source}) AS s WHERE {PLACE} NOT IN ({places})"


def _leave_out(session: Session, checked: Checked, left_out: TableName, query: str) -> int:
    """Store the places that a query finds, and return their number."""
    view = checked.rejects.sibling(checked.rejects.name + "_v")
    session.ask(f"CREATE VIEW {view.quoted} AS {query}")
    with session.users_path():
        number = session.change(f"INSERT INTO {left_out.quoted} SELECT place FROM {view.quoted}")
    session.run(f"DROP VIEW {view.quoted}")
    return number


def _local(source: str, rules: Sequence[Rule]) -> str:
    """Return a query for rows that violate a rule by themselves: their places, and the number of the rule."""
    cases = " ".join(f"WHEN {rule.violated} THEN {number}" for number, rule in enumerate(rules))
    if not cases:
        return ""
    return (
        f"SELECT * FROM (SELECT {PLACE} AS place, CASE {cases} END AS rule FROM ({source}) AS s) AS f WHERE rule >= 0"
    )


def _against_target(
    checked: Checked, source: str, rules: Rules, same_keys: Mapping[str, str]
) -> Iterator[tuple[str, list[Rule]]]:
    """Yield queries for rows that conflict with rows that are in the table and stay there.

    An upsert compares its keys by the operators in `same_keys`: those of citext are not in pg_catalog.
    """
    move = checked.move
    if move.replaces_all:
        return
    for rule in (*rules.unique, *rules.exclusion):
        if _is_resolved(move, rule):
            continue
        keys = move.keys if move.mode == "upsert" else ()
        others = [f"{quote_name(key)} AS o{number}" for number, key in enumerate(keys)]
        staged = conflicts.keyed(f"({source}) AS s", rule, f"{PLACE} AS place", *others)
        there = conflicts.keyed(
            rules.relation, rule, *others, *([f"({move.where}) AS goes"] if move.where is not None else [])
        )
        conditions = [conflicts.conflict(rule)]
        if keys:  # the row with the same keys is updated
            same = " AND ".join(f"t.o{n} {same_keys[key]} s.o{n}" for n, key in enumerate(keys))
            conditions.append(f"({same}) IS NOT TRUE")
        if move.where is not None:
            conditions.append("t.goes IS NOT TRUE")
        condition = " AND ".join(f"({one})" for one in conditions)
        yield (
            f"SELECT place, 0 AS rule FROM ({staged}) AS s WHERE EXISTS (SELECT FROM ({there}) AS t WHERE {condition})",
            [rule],
        )


def _is_resolved(move: Move, rule: Unique | Exclusion) -> bool:
    """Return whether the mode itself does something about rows that conflict."""
    names = [key[1:-1].replace('""', '"') if key.startswith('"') else key for key in rule.keys]
    return bool(move.keys) and sorted(names) == sorted(move.keys)


def _among_staged(checked: Checked, source: str, rules: Rules) -> Iterator[tuple[str, list[Rule]]]:
    """Yield queries to be repeated until they find nothing: for rows that conflict with staged rows, and references."""
    for reference in rules.foreign:
        yield _unreferenced(checked, source, reference), [reference]
    unique = [rule for rule in rules.unique if not _is_resolved(checked.move, rule)]
    exclusion = [rule for rule in rules.exclusion if not _is_resolved(checked.move, rule)]
    if unique or exclusion:
        yield conflicts.later(source, unique, exclusion), [*unique, *exclusion]
    for reference in rules.foreign:
        if reference.table == checked.target:
            yield _unreferenced(checked, source, reference), [reference]


def _unreferenced(checked: Checked, source: str, rule: ForeignKey, staged: str = "") -> str:
    """Return a query for rows that reference no row, neither in the table nor, if it is their own, of staged rows."""
    columns = [f"s.{quote_name(name)}" for name in rule.columns]
    nulls = f"num_nulls({', '.join(columns)})"
    is_self = rule.table == checked.target
    relations = [] if rule.table is None or (is_self and checked.move.replaces_all) else [rule.relation]
    if is_self:
        relations.append(f"({staged or source})")
    same = " AND ".join(
        f"t.{quote_name(key)} {operator} {column}" for key, operator, column in zip(rule.keys, rule.operators, columns)
    )
    missing = " AND ".join(f"NOT EXISTS (SELECT FROM {relation} AS t WHERE {same})" for relation in relations)
    violated = f"({nulls} = 0 AND {missing})"
    if rule.is_full:
        violated = f"({violated} OR {nulls} BETWEEN 1 AND {len(columns) - 1})"
    return f"SELECT {PLACE} AS place, 0 AS rule FROM ({source}) AS s WHERE {violated}"


def _remove(session: Session, checked: Checked, query: str, rules: Sequence[Rule]) -> int:
    """Move the rows that a query finds from staging to the rejects, and return their number.

    Args:
        session: The session that publishes.
        checked: The staging tables.
        query: Returns the places of rows, and the number of the rule that each violates.
        rules: The rules.
    """
    if not query:
        return 0
    names = ", ".join(quote_literal(name) for name in checked.staging.columns)
    values = ", ".join(f"r.{quote_name(name)}::text" for name in checked.staging.columns)
    rejects, view, found = (checked.rejects.sibling(checked.rejects.name + end) for end in ("", "_v", "_f"))
    session.ask(f"CREATE VIEW {view.quoted} AS {query}")
    with session.users_path():
        session.run(f"CREATE UNLOGGED TABLE {found.quoted} AS SELECT place, rule FROM {view.quoted}")
    answer = session.ask(
        f"WITH gone AS (DELETE FROM {checked.staging.rows.quoted} AS r USING {found.quoted} AS bad "
        f"WHERE r.ctid = bad.place RETURNING r.xmin AS inserter, r.ctid::text AS staged, bad.rule, "
        f"{_hash(checked)} AS row_hash, jsonb_object(ARRAY[{names}]::text[], ARRAY[{values}]::text[]) AS content), "
        f"marks AS MATERIALIZED ({_marks(checked)}) "
        f"INSERT INTO {rejects.quoted} (part, attempt, column_name, sqlstate, reason, message, row, "
        "staged, row_hash, file, file_row, part_row) "
        "SELECT m.part, m.attempt, told.column_name, told.sqlstate, told.reason, told.message, gone.content, "
        "gone.staged, gone.row_hash, p.file, p.file_row, p.part_row "
        "FROM gone JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY "
        "AS told (column_name, sqlstate, reason, message, number) ON told.number = gone.rule + 1 "
        "LEFT JOIN marks AS m ON m.inserter = gone.inserter "
        "LEFT JOIN unnest($5::text[], $6::bigint[], $7::bigint[], $8::bigint[]) "
        "AS p (staged, file, file_row, part_row) ON p.staged = gone.staged",
        [
            [rule.column for rule in rules],
            [rule.sqlstate for rule in rules],
            [reason_of(rule.sqlstate) for rule in rules],
            [f"{rule.message} (SQLSTATE {rule.sqlstate})." for rule in rules],
            *_places(checked),
        ],
    )
    session.run(f"DROP VIEW {view.quoted}; DROP TABLE {found.quoted}")
    return answer.count or 0


def _hash(checked: Checked) -> str:
    """Return the hash of the row r, if places are sought. Within the query, the names are those of its columns only."""
    seeking = checked.seeking
    return "NULL::bigint" if seeking is None else f"(SELECT {seeking.row.row_hash} FROM (SELECT r.*) AS one)"


def _marks(checked: Checked) -> str:
    """Return a query for the transactions of parts: of savepoints, by their marks; of whole parts, by their claims."""
    return (
        "SELECT DISTINCT ON (xmin::text) xmin AS inserter, part, attempt "
        f"FROM {checked.rejects.quoted} WHERE reason IS NULL "
        f"UNION ALL SELECT xmin, part, attempt FROM {checked.staging.parts.quoted} WHERE rows IS NOT NULL"
    )


def _places(checked: Checked) -> list[list[object]]:
    """Return the staged rows whose places are known; and of each its file, and its number there and in its part."""
    found = {} if checked.seeking is None else checked.seeking.found or {}
    places = found.values()
    return [[*found], [p.file for p in places], [p.file_row for p in places], [p.part_row for p in places]]
