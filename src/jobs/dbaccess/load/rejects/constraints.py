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

The queries are parsed with the names of pg_catalog alone, as views, and run on the user's path, as the server's own
checks are: a function that a CHECK calls may look up names there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog.unique_indexes import equalities
from jobs.dbaccess.load.move.modes import Move, apart
from jobs.dbaccess.load.rejects.places import Seeking
from jobs.dbaccess.load.rejects.reasons import reason_of
from jobs.dbaccess.load.rejects.row_rules import Column, Exclusion, ForeignKey, Rule, Rules, Unique
from jobs.dbaccess.load.rejects.table_rules import rules_of
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal, quote_name

_PLACE = "pgjobs_place"


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
    rows = checked.move.source(checked.staging.rows, f"ctid AS {_PLACE}")
    query = f"SELECT {_PLACE}, {', '.join(plain)} FROM ({rows}) AS staged"
    generated = [f"({column.default}) AS {quote_name(column.name)}" for column in columns if column.generated]
    return f"SELECT *, {', '.join(generated)} FROM ({query}) AS whole" if generated else query


def _inserted(checked: Checked, source: str, rules: Rules) -> str:
    """Return a query for those of the rows that the mode inserts or updates: it may leave out keys that are there."""
    move = checked.move
    arbiter = next((rule for rule in rules.unique if _is_resolved(move, rule)), None)
    if move.mode != "ignore" or not move.keys or arbiter is None:
        return source
    keys = ", ".join([*arbiter.keys, *([] if arbiter.nulls_are_equal else [apart(arbiter.keys, _PLACE)])])
    same = _conflict(arbiter, arbiter.keys)
    there = f"EXISTS (SELECT FROM {rules.relation} AS t WHERE {same})"
    return f"SELECT DISTINCT ON ({keys}) * FROM ({source}) AS s WHERE NOT {there} ORDER BY {keys}, {_PLACE}"


def _local(source: str, rules: Sequence[Rule]) -> str:
    """Return a query for rows that violate a rule by themselves: their places, and the number of the rule."""
    cases = " ".join(f"WHEN {rule.violated} THEN {number}" for number, rule in enumerate(rules))
    if not cases:
        return ""
    return (
        f"SELECT * FROM (SELECT {_PLACE} AS place, CASE {cases} END AS rule FROM ({source}) AS s) AS f WHERE rule >= 0"
    )


_GIVEN = "IS DISTINCT FROM NULL"
"""To an index, a composite value with NULLs in its fields is no NULL. To IS NOT NULL, it is one."""


def _keyed(relation: str, rule: Unique | Exclusion, *others: str) -> str:
    """Return a query for the keys of rows, k0 and so on; without rows to which the constraint does not apply."""
    keys = ", ".join([*(f"({key}) AS k{number}" for number, key in enumerate(rule.keys)), *others])
    conditions = [rule.predicate or "true"]
    if not rule.nulls_are_equal:
        conditions += [f"({key}) {_GIVEN}" for key in rule.keys]
    return f"SELECT {keys} FROM {relation} WHERE {' AND '.join(f'({one})' for one in conditions)}"


def _conflict(rule: Unique | Exclusion, names: Sequence[str] = ()) -> str:
    """Return the condition that rows t and s have keys that may not both be there.

    Args:
        rule: The constraint.
        names: The columns that have the keys; by default, those of `_keyed`.
    """
    named = list(zip(names or [f"k{number}" for number in range(len(rule.keys))], rule.operators))
    same = [f"t.{name} {operator} s.{name}" for name, operator in named]
    if rule.nulls_are_equal:
        both = zip(same, named)
        same = [f"({one} OR NOT (t.{name} {_GIVEN} OR s.{name} {_GIVEN}))" for one, (name, _) in both]
    return " AND ".join(same)


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
        staged = _keyed(f"({source}) AS s", rule, f"{_PLACE} AS place", *others)
        there = _keyed(rules.relation, rule, *others, *([f"({move.where}) AS goes"] if move.where is not None else []))
        conditions = [_conflict(rule)]
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
    if move.mode == "ignore" and not move.keys:
        return True
    names = [key[1:-1].replace('""', '"') if key.startswith('"') else key for key in rule.keys]
    return bool(move.keys) and sorted(names) == sorted(move.keys)


def _among_staged(checked: Checked, source: str, rules: Rules) -> Iterator[tuple[str, list[Rule]]]:
    """Yield queries to be repeated until they find nothing: for rows that conflict with staged rows, and references."""
    for reference in rules.foreign:
        yield _unreferenced(checked, source, reference), [reference]
    unique = [rule for rule in rules.unique if not _is_resolved(checked.move, rule)]
    exclusion = [rule for rule in rules.exclusion if not _is_resolved(checked.move, rule)]
    if exclusion:
        yield _excluded(source, [*unique, *exclusion]), [*unique, *exclusion]
    elif unique:
        yield _repeated(source, unique), list(unique)
    for reference in rules.foreign:
        if reference.table == checked.target:
            yield _unreferenced(checked, source, reference), [reference]


def _repeated(source: str, rules: Sequence[Unique]) -> str:
    """Return a query for rows whose key an earlier row has that conflicts with no row before it: that one stays."""
    firsts: list[str] = []
    for rule in rules:
        applies = [f"({rule.predicate or 'true'})"]
        if not rule.nulls_are_equal:
            applies += [f"({key}) {_GIVEN}" for key in rule.keys]
        condition = " AND ".join(applies)
        keys = ", ".join([f"({condition})", *(f"({key})" for key in rule.keys)])
        first = f"first_value({_PLACE}) OVER (PARTITION BY {keys} ORDER BY {_PLACE})"
        firsts.append(f"CASE WHEN {condition} THEN {first} ELSE {_PLACE} END AS f{len(firsts)}")
    stays = " AND ".join(f"f{number} = place" for number in range(len(rules)))
    found = " UNION ALL ".join(
        f"SELECT s.place, {number} AS rule FROM w AS s JOIN w AS t ON t.place = s.f{number} AND t.stays "
        f"WHERE s.f{number} <> s.place"
        for number in range(len(rules))
    )
    return (
        f"WITH ranked AS (SELECT {_PLACE} AS place, {', '.join(firsts)} FROM ({source}) AS s), "
        f"w AS MATERIALIZED (SELECT *, {stays} AS stays FROM ranked) "
        f"SELECT place, min(rule) AS rule FROM ({found}) AS f GROUP BY place"
    )


def _excluded(source: str, rules: Sequence[Unique | Exclusion]) -> str:
    """Return a query for rows that conflict with an earlier row that conflicts with no row before it."""
    keyed, pairs = [], []
    for number, rule in enumerate(rules):
        keyed.append(f"keyed{number} AS MATERIALIZED ({_keyed(f'({source}) AS s', rule, f'{_PLACE} AS place')})")
        pairs.append(
            f"SELECT t.place AS earlier, s.place AS later, {number} AS rule "
            f"FROM keyed{number} AS t JOIN keyed{number} AS s ON t.place < s.place AND {_conflict(rule)}"
        )
    return (
        f"WITH {', '.join(keyed)}, pairs AS MATERIALIZED ({' UNION ALL '.join(pairs)}) "
        "SELECT later AS place, min(rule) AS rule FROM pairs AS p "
        "WHERE NOT EXISTS (SELECT FROM pairs AS q WHERE q.later = p.earlier) GROUP BY later"
    )


def _unreferenced(checked: Checked, source: str, rule: ForeignKey) -> str:
    """Return a query for rows that reference no row."""
    columns = [f"s.{quote_name(name)}" for name in rule.columns]
    nulls = f"num_nulls({', '.join(columns)})"
    is_self = rule.table == checked.target
    relations = [] if rule.table is None or (is_self and checked.move.replaces_all) else [rule.relation]
    if is_self:
        relations.append(f"({source})")
    same = " AND ".join(
        f"t.{quote_name(key)} {operator} {column}" for key, operator, column in zip(rule.keys, rule.operators, columns)
    )
    missing = " AND ".join(f"NOT EXISTS (SELECT FROM {relation} AS t WHERE {same})" for relation in relations)
    violated = f"({nulls} = 0 AND {missing})"
    if rule.is_full:
        violated = f"({violated} OR {nulls} BETWEEN 1 AND {len(columns) - 1})"
    return f"SELECT {_PLACE} AS place, 0 AS rule FROM ({source}) AS s WHERE {violated}"


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
