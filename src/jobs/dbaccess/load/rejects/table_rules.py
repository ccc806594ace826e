"""The rules that a table has for its rows: from the catalog, as the server writes them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from jobs.dbaccess.catalog.tables import PARTITIONED
from jobs.dbaccess.load.rejects.row_rules import Column, Exclusion, ForeignKey, Rule, Rules, Unique
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

NOT_NULL, FOREIGN_KEY, UNIQUE, CHECK, EXCLUSION = "23502", "23503", "23505", "23514", "23P01"
"""SQLSTATEs."""

_EQUALS = "OPERATOR(pg_catalog.=)"


def rules_of(session: Session, target: TableName, given: Collection[str]) -> Rules:
    """Return the rules of a table.

    Args:
        session: A session that is pinned: the server then qualifies all names that are not its own.
        target: The table.
        given: The columns that the data has.
    """
    columns = _columns(session, target, given)
    known = {column.name for column in columns if column.is_known}
    unknown = {column.name for column in columns if not column.is_known}
    [kind] = session.row(1, "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", target.quoted)
    keys = _keys(session, target, known)
    return Rules(
        relation=_relation(target, kind),
        columns=columns,
        local=(*_not_null(columns), *_checks(session, target, known), *_partitions(session, target, unknown)),
        unique=tuple(key for key in keys if not isinstance(key, Exclusion)),
        exclusion=tuple(key for key in keys if isinstance(key, Exclusion)),
        foreign=tuple(_foreign(session, target, known)),
    )


def _columns(session: Session, target: TableName, given: Collection[str]) -> tuple[Column, ...]:
    """Return the columns. What a sequence gives a row cannot be told, nor what is generated of that."""
    found = session.run(_COLUMNS, target.quoted)
    unknown = {
        name
        for name, _, _, generated, default, has_identity in found
        if name not in given and not generated and (has_identity or "nextval(" in default)
    }
    unknown |= {name for name, _, _, generated, default, _ in found if generated and _mentions(default, unknown)}
    return tuple(
        Column(name, type_name, required=required, generated=generated, default=default, is_known=name not in unknown)
        for name, type_name, required, generated, default, _ in found
    )


def _not_null(columns: Sequence[Column]) -> list[Rule]:
    return [
        Rule(
            NOT_NULL,
            f'null value in column "{column.name}" violates not-null constraint',
            column.name,
            f"{quote_name(column.name)} IS NOT DISTINCT FROM NULL",  # a composite value of NULLs is none
        )
        for column in columns
        if column.required and column.is_known
    ]


def _checks(session: Session, target: TableName, known: Collection[str]) -> list[Rule]:
    return [
        Rule(CHECK, f'new row violates check constraint "{name}"', _only(names or ()), f"({sql}) IS FALSE")
        for name, sql, names in session.run(_CHECKS, target.quoted)
        if set(names or ()) <= set(known)
    ]


def _mentions(sql: str, names: Collection[str]) -> bool:
    """Return whether an expression names one of these columns, or something of the same name."""
    return any(re.search(rf"(?<!\w){re.escape(quote_name(name)[1:-1])}(?!\w)", sql) for name in names)


def _relation(table: TableName, kind: str) -> str:
    return table.quoted if kind == PARTITIONED else f"ONLY {table.quoted}"


def _only(names: Sequence[str]) -> str | None:
    return names[0] if len(names) == 1 else None


_COLUMNS = (
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '', "
    "coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(y.typdefaultbin, 0), ''), a.attidentity <> '' "
    "FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid "
    "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)

_CHECKS = (
    "SELECT c.conname, pg_get_expr(c.conbin, c.conrelid), (SELECT array_agg(a.attname::text) FROM pg_attribute a "
    "WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) FROM pg_constraint c "
    "WHERE c.conrelid = to_regclass(%s) AND c.contype = 'c' "
    "AND to_jsonb(c)->>'conenforced' IS DISTINCT FROM 'false' ORDER BY 1"
)

_INDEXES = (
    "SELECT r.relname, i.indisprimary, coalesce(c.conexclop IS NOT NULL, false), "
    "ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) AS n ORDER BY n), "
    "ARRAY(SELECT a.attname::text FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid "
    "AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid "
    "AND d.refobjid = i.indrelid UNION SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid "
    "AND a.attnum = ANY (i.indkey::int2[])), "
    "coalesce(pg_get_expr(i.indpred, i.indrelid), ''), "
    "coalesce((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false), "
    "ARRAY(SELECT format('OPERATOR(%I.%s)', s.nspname, o.oprname) FROM unnest(coalesce(c.conexclop, "
    "ARRAY(SELECT m.amopopr FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS k (opclass, n) "
    "JOIN pg_opclass oc ON oc.oid = k.opclass JOIN pg_amop m ON m.amopfamily = oc.opcfamily "
    "AND m.amoplefttype = oc.opcintype AND m.amoprighttype = oc.opcintype AND m.amopstrategy = 3 "
    "WHERE k.n <= i.indnkeyatts ORDER BY k.n))) WITH ORDINALITY AS p (oid, n) "
    "JOIN pg_operator o ON o.oid = p.oid JOIN pg_namespace s ON s.oid = o.oprnamespace ORDER BY p.n) "
    "FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid "
    "LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x') "
    "AND c.conrelid = i.indrelid WHERE i.indrelid = to_regclass(%s) AND (i.indisunique OR c.conexclop IS NOT NULL) "
    "AND i.indislive ORDER BY 1"
)


def _keys(session: Session, target: TableName, known: Collection[str]) -> list[Unique]:
    found: list[Unique] = []
    for name, _, excludes, keys, names, predicate, nulls_are_equal, operators in session.run(_INDEXES, target.quoted):
        if not set(names) <= set(known):
            continue
        kind, sqlstate = (Exclusion, EXCLUSION) if excludes else (Unique, UNIQUE)
        what = "conflicting key value violates exclusion" if excludes else "duplicate key value violates unique"
        found.append(
            kind(
                sqlstate=sqlstate,
                message=f'{what} constraint "{name}"',
                column=_only(names),
                keys=tuple(keys),
                operators=tuple(operators) if len(operators) == len(keys) else (_EQUALS,) * len(keys),
                predicate=predicate,
                nulls_are_equal=nulls_are_equal,
            )
        )
    return found


_FOREIGN = (
    "SELECT c.conname, n.nspname, t.relname, t.relkind::text, c.confmatchtype = 'f', "
    "ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (num, n) JOIN pg_attribute a "
    "ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.n), "
    "ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k (num, n) JOIN pg_attribute a "
    "ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.n), "
    "ARRAY(SELECT format('OPERATOR(%I.%s)', s.nspname, o.oprname) FROM unnest(c.conpfeqop) WITH ORDINALITY "
    "AS p (oid, n) JOIN pg_operator o ON o.oid = p.oid JOIN pg_namespace s ON s.oid = o.oprnamespace ORDER BY p.n) "
    "FROM pg_constraint c JOIN pg_class t ON t.oid = c.confrelid JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE c.conrelid = to_regclass(%s) AND c.contype = 'f' "
    "AND to_jsonb(c)->>'conenforced' IS DISTINCT FROM 'false' AND NOT row_security_active(c.confrelid) ORDER BY 1"
)


def _foreign(session: Session, target: TableName, known: Collection[str]) -> list[ForeignKey]:
    """Return the foreign keys, without those to tables whose policies may hide the row that a row references."""
    return [
        ForeignKey(
            sqlstate=FOREIGN_KEY,
            message=f'insert violates foreign key constraint "{name}"',
            column=_only(columns),
            columns=tuple(columns),
            table=TableName(table, schema),
            relation=_relation(TableName(table, schema), kind),
            keys=tuple(keys),
            operators=tuple(operators),
            is_full=is_full,
        )
        for name, schema, table, kind, is_full, columns, keys, operators in session.run(_FOREIGN, target.quoted)
        if set(columns) <= set(known)
    ]


def _partitions(session: Session, target: TableName, unknown: Collection[str]) -> Sequence[Rule]:
    """Return the rule that each row has a partition, and the rules of the partitions themselves."""
    found = session.run(
        "SELECT pg_get_partition_constraintdef(t.relid) FROM pg_class c "
        "CROSS JOIN LATERAL pg_partition_tree(c.oid) AS t "
        "WHERE c.oid = to_regclass(%s) AND c.relkind = %s AND t.isleaf",
        target.quoted,
        PARTITIONED,
    )
    if not found or [None] in found or any(_mentions(bounds, unknown) for [bounds] in found):
        return []
    anywhere = " OR ".join(f"(({bounds}) IS TRUE)" for [bounds] in found)
    return [Rule(CHECK, "no partition of the table is for the row", None, f"NOT ({anywhere})")]


def deferred_of(session: Session, target: TableName) -> list[tuple[str, bool]]:
    """Return the names of constraints that are checked at the commit, quoted, and whether SET CONSTRAINTS defers them.

    It takes a name, which constraints of several tables may have, and fails if one of them is not deferrable.
    """
    query = (
        "SELECT n.nspname, c.conname, NOT EXISTS (SELECT FROM pg_constraint same WHERE NOT same.condeferrable "
        "AND (same.connamespace, same.conname) = (c.connamespace, c.conname)) "
        "FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
        "WHERE c.conrelid = to_regclass(%s) AND c.condeferred ORDER BY 2"
    )
    return [(TableName(name, schema).quoted, can) for schema, name, can in session.run(query, target.quoted)]
