"""Tables that are chosen by patterns such as `sales.*`: what a pattern matches, and what of that is extracted.

Views have no rows of their own, rows of foreign tables are on another server, and extensions bring the rows of their
tables: as in pg_dump, no pattern chooses them. A partition or a child table is read with its parent if that is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_LEFT_OUT = {
    "v": "a view, which has no rows of its own",
    "f": "a foreign table, whose rows are on another server",
    "e": "part of an extension, which brings its rows",
}
"""A kind that no pattern chooses -> what it is."""


@dataclass(frozen=True)
class Relation:
    """A table or view of the database.

    Attributes:
        kind: pg_class's relkind, or "e" for a member of an extension.
        visible: Whether search_path finds it by its name alone.
        readable: Whether the user may read all of its columns.
        ancestors: The oids of the tables of which it is a partition or child, at all levels.
        columns: The names of its columns.
    """

    oid: int
    name: TableName
    kind: str
    visible: bool = True
    readable: bool = True
    ancestors: frozenset[int] = frozenset()
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TablePattern:
    """A pattern for names, as in psql: `*` stands for any text, `?` for one character. Other letters are as written.

    Attributes:
        text: As the user wrote it.
        schema: Matches the schema; None for tables that search_path finds.
        name: Matches the name.
        exact: Whether the pattern can match only one name.
    """

    text: str
    schema: re.Pattern[str] | None
    name: re.Pattern[str]
    exact: bool

    @classmethod
    def parse(cls, text: str) -> TablePattern:
        """Parse `[schema.]name`. Within double quotes, `*`, `?` and dots stand for themselves, and `""` for a quote.

        Raises:
            UsageError: The text is not one or two patterns.
        """
        parts, exact = [""], True
        tokens = list(_TOKEN.finditer(text))
        for token in tokens:
            if token["dot"]:
                parts.append("")
            elif token["wild"]:
                parts[-1] += _WILD[token["wild"]]
                exact = False
            else:
                quoted = token["quoted"]
                parts[-1] += re.escape(token["letter"] if quoted is None else quoted.replace('""', '"'))
        is_complete = "".join(token[0] for token in tokens) == text and all(parts)
        if not is_complete or len(parts) > _MOST_PARTS:
            raise UsageError(
                f"{text!r} is not a pattern for tables.",
                "Write table, schema.table or schema.*; a name with a dot, * or ? is in double quotes.",
            )
        *schema, name = (re.compile(part, re.DOTALL) for part in parts)
        return cls(text, schema[0] if schema else None, name, exact)

    def matches(self, relation: Relation) -> bool:
        """Return whether the pattern names a relation."""
        if self.schema is None:
            return relation.visible and self.name.fullmatch(relation.name.name) is not None
        return self.schema.fullmatch(relation.name.schema or "") is not None and self.is_name_of(relation)

    def is_name_of(self, relation: Relation) -> bool:
        """Return whether the pattern matches the name of a relation, in whichever schema it is."""
        return self.name.fullmatch(relation.name.name) is not None


_TOKEN = re.compile(r'"(?P<quoted>(?:[^"]|"")*)"|(?P<dot>\.)|(?P<wild>[*?])|(?P<letter>[^".*?])', re.DOTALL)
_WILD = {"*": ".*", "?": "."}
_MOST_PARTS = 2


def choose(
    relations: Sequence[Relation], patterns: Sequence[TablePattern], excluded: Sequence[TablePattern] = ()
) -> tuple[Relation, ...]:
    """Return the tables to extract, in the order in which they are given.

    Args:
        relations: All tables and views of the database.
        patterns: Each matches at least one table.
        excluded: What they match is left out.

    Raises:
        UsageError: A pattern matches nothing, or nothing is left; or a part of a chosen table is excluded, or cannot be
            read with it.
    """
    for pattern in patterns:
        if not any(pattern.matches(relation) and relation.kind not in _LEFT_OUT for relation in relations):
            raise _matches_nothing(pattern, relations)
    for pattern in excluded:
        if pattern.exact and not any(map(pattern.matches, relations)):
            raise _matches_nothing(pattern, relations)
    matched = [each for each in relations if each.kind not in _LEFT_OUT and _any_matches(patterns, each)]
    oids = {each.oid for each in matched}
    chosen = tuple(each for each in matched if not each.ancestors & oids and not _any_matches(excluded, each))
    if not chosen:
        raise UsageError("Each table that matches is excluded.", "Correct --tables or --exclude-tables.")
    _check_parts(relations, chosen, excluded)
    return chosen


def _any_matches(patterns: Iterable[TablePattern], relation: Relation) -> bool:
    return any(pattern.matches(relation) for pattern in patterns)


def _check_parts(relations: Iterable[Relation], chosen: Iterable[Relation], excluded: Sequence[TablePattern]) -> None:
    """Check that what is read with a table is to be read, and that nothing of it is lost, or read twice.

    Raises:
        UsageError: A partition or child table is excluded, or has other parents or columns.
    """
    by_oid = {each.oid: each for each in chosen}
    for relation in relations:
        parents = [by_oid[oid] for oid in sorted(relation.ancestors & by_oid.keys())]
        if not parents:
            continue
        [parent, *others] = parents
        if _any_matches(excluded, relation):
            raise UsageError(
                f"{relation.name} is a partition or child table of {parent.name}, which is extracted as a whole.",
                f"Exclude {parent.name}, and extract it with --table and --filter.",
            )
        if others:
            raise _to_be_read_alone(relation, parent, f"and of {others[0].name}: its rows would be in both folders")
        lost = sorted(relation.columns - parent.columns)
        if lost:
            raise _to_be_read_alone(relation, parent, f"which lacks its columns {', '.join(lost)}")


def _to_be_read_alone(relation: Relation, parent: Relation, why: str) -> UsageError:
    return UsageError(
        f"{relation.name} is a child table of {parent.name}, with which it would be read, {why}.",
        f"Exclude {parent.name}, and extract each of them with --table, or with --query from ONLY.",
    )


def _matches_nothing(pattern: TablePattern, relations: Sequence[Relation]) -> UsageError:
    """Return the error for a pattern without a table. It says what was matched in place of one, or names near ones."""
    for relation in relations:
        if pattern.matches(relation) and relation.kind in _LEFT_OUT:
            return UsageError(
                f"{pattern.text!r} matches no table: {relation.name} is {_LEFT_OUT[relation.kind]}.",
                "Leave the pattern out, or extract this one with --table.",
            )
    near = _near(pattern, [each for each in relations if each.kind not in _LEFT_OUT])
    hint = f"Near names: {', '.join(near)}." if near else "Check the schema, and the user's privileges."
    return UsageError(
        f"{pattern.text!r} matches no table; names are taken as written, and system schemas are never matched.", hint
    )


def _near(pattern: TablePattern, relations: Sequence[Relation]) -> list[str]:
    """Return the names of tables that were perhaps meant: of another schema, or similar ones."""
    elsewhere = [str(each.name) for each in relations if pattern.is_name_of(each)]
    if pattern.name.pattern != _WILD["*"] and elsewhere:
        return elsewhere[:_SHOWN]
    by_text: dict[str, str] = {}
    for each in relations:
        by_text[str(each.name).lower()] = str(each.name)
        if pattern.schema is None:
            by_text[each.name.name.lower()] = str(each.name)
    similar = get_close_matches(pattern.text.lower(), by_text, _SHOWN, _SIMILARITY)
    return list(dict.fromkeys(by_text[text] for text in similar))


_SHOWN = 3
"""How many names an error shows."""

_SIMILARITY = 0.5
"""The least similarity, from 0 to 1, of a name that may be meant: a pattern `sales.*` has few letters of one."""


# Tables of loads that run at this moment: a lock on one would keep its load from dropping it.
_OWN = "^pgjobs_(rows|parts|rejects|result)_[0-9a-f]{32}$"

_RELATIONS = f"""
WITH RECURSIVE up (oid, ancestor) AS (
    SELECT inhrelid, inhparent FROM pg_inherits WHERE NOT inhdetachpending
    UNION SELECT up.oid, inhparent FROM up JOIN pg_inherits ON inhrelid = up.ancestor WHERE NOT inhdetachpending
), heir AS (
    SELECT oid, array_agg(ancestor::bigint) AS ancestors FROM up GROUP BY oid
)
SELECT c.oid::bigint, nspname, relname, CASE WHEN EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND objsubid = 0 AND deptype = 'e'
    ) THEN 'e' ELSE relkind::text END,
    coalesce(has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT') OR (
        SELECT bool_and(has_column_privilege(c.oid, attnum, 'SELECT')) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    )), true), coalesce(ancestors, '{{}}'), ARRAY(
        SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    )
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace LEFT JOIN heir ON heir.oid = c.oid
WHERE relkind IN ('r', 'p', 'm', 'v', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND relname !~ '{_OWN}'
ORDER BY nspname, relname
"""


def relations(session: Session) -> tuple[Relation, ...]:
    """Return the tables and views of the database, without those of the system and of loads that run."""
    with session.users_path():
        path = session.value("SELECT pg_catalog.current_schemas(true)")
    places = {schema: place for place, schema in enumerate(path)}
    rows = session.run(_RELATIONS)
    first: dict[str, int] = {}
    for _, schema, name, *_ in rows:
        if schema in places:
            first[name] = min(first.get(name, len(places)), places[schema])
    return tuple(
        Relation(
            oid=oid,
            name=TableName(name, schema),
            kind=kind,
            visible=places.get(schema, -1) == first.get(name),
            readable=readable,
            ancestors=frozenset(up),
            columns=frozenset(columns),
        )
        for oid, schema, name, kind, readable, up, columns in rows
    )
