"""What somebody planted on the search_path: better matches for many calls of our statements than the server's own.

Functions of one to three arguments, aggregates, operators, domains and views under the server's names. Casts are
missing: only the owner of one of its types makes one, and those of our statements are the server's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from jobs.dbaccess.session import Session

SOURCE = Path(__file__).parents[2] / "src" / "jobs"

TYPES = (
    "text",
    "varchar",
    "name",
    '"char"',
    "int2",
    "int4",
    "int8",
    "oid",
    "xid",
    "regclass",
    "bool",
    "tid",
    "numeric",
)
"""Whatever columns, literals and bound values of our statements may be of."""

MORE_TYPES = ("float8", "json", "jsonb", "timestamptz", "interval", "bytea", "regtype", "pg_lsn", "pg_snapshot", "xid8")
"""Of which fewer calls are made."""

LONG_CALLS = ("text", "varchar", "name", "int4", "bool")
"""Types in functions of three arguments."""

OPERATORS = (
    *("=", "<>", "<", ">", "<=", ">=", "~", "!~", "~*", "!~*", "~~", "!~~", "~~*", "^@"),
    *("||", "&", "|", "<<", ">>", "+", "-", "*", "/", "%", "#", "^", "->", "->>", "@>", "<@", "&&"),
)

_PLANT = """
DO $do$
DECLARE
    types text[] := ARRAY[{types}]; more text[] := ARRAY[{more}]; few text[] := ARRAY[{few}];
    names text[] := ARRAY[{names}]; aggregates text[] := ARRAY[{aggregates}]; long_names text[] := ARRAY[{long_names}];
    operators text[] := ARRAY[{operators}]; relations text[] := ARRAY[{relations}];
    one text; other text; third text; called text;
    run text := $$ LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $m$planted$m$; END'$$;
BEGIN
    FOREACH one IN ARRAY types LOOP
        FOREACH other IN ARRAY types LOOP
            FOREACH called IN ARRAY names LOOP
                EXECUTE format('CREATE FUNCTION public.%I(%s, %s) RETURNS bool', called, one, other) || run;
            END LOOP;
            EXECUTE format('CREATE FUNCTION public.planted(%s, %s) RETURNS bool', one, other) || run;
            FOREACH called IN ARRAY operators LOOP
                EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.planted)',
                    called, one, other);
            END LOOP;
        END LOOP;
    END LOOP;
    FOREACH one IN ARRAY more LOOP
        EXECUTE format('CREATE FUNCTION public.planted(bool, %s) RETURNS bool', one) || run;
        EXECUTE format('CREATE FUNCTION public.planted(%s, %s) RETURNS bool', one, one) || run;
        FOREACH called IN ARRAY operators LOOP
            EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.planted)',
                called, one, one);
        END LOOP;
    END LOOP;
    FOREACH one IN ARRAY types || more LOOP
        FOREACH called IN ARRAY names LOOP
            IF called = ANY (aggregates) THEN
                EXECUTE format('CREATE AGGREGATE public.%I(%s) (SFUNC = public.planted, STYPE = bool, INITCOND = true)',
                    called, one);
            ELSE
                EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s', called, one, one) || run;
                EXECUTE format('CREATE FUNCTION public.%I(VARIADIC %s[]) RETURNS bool', called, one) || run;
            END IF;
        END LOOP;
        EXECUTE format('CREATE DOMAIN public.%1$s AS pg_catalog.%1$s CHECK (public.planted(true, VALUE))', one);
    END LOOP;
    FOREACH called IN ARRAY long_names LOOP
        FOREACH one IN ARRAY few LOOP
            FOREACH other IN ARRAY few LOOP
                FOREACH third IN ARRAY few LOOP
                    EXECUTE format('CREATE FUNCTION public.%I(%s, %s, %s) RETURNS bool', called, one, other, third)
                        || run;
                END LOOP;
            END LOOP;
        END LOOP;
    END LOOP;
    FOREACH called IN ARRAY relations LOOP
        EXECUTE format('CREATE VIEW public.%I AS SELECT 1 / 0 AS planted', called);
    END LOOP;
END $do$
"""


def plant(session: Session) -> int:
    """Plant operators, and the server's functions and relations that our sources name; how many functions those are."""
    sources = [path.read_text() for path in SOURCE.rglob("*.py")]
    calls = {name for text in sources for name in re.findall(r"\b([a-z_0-9]+)\(", text)}
    words = {name for text in sources for name in re.findall(r"\b(pg_[a-z_]+)\b", text)}
    found = session.run(
        "SELECT proname::text, bool_or(prokind = 'a'), max(pronargs) >= 3 OR bool_or(provariadic <> 0) FROM pg_proc "
        "WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY 1 ORDER BY 1"
    )
    called = [(name, aggregate, long) for name, aggregate, long in found if name in calls]
    relations = session.run("SELECT relname::text FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace")
    statement = _PLANT.format(
        types=_texts(TYPES),
        more=_texts(MORE_TYPES),
        few=_texts(LONG_CALLS),
        operators=_texts(OPERATORS),
        names=_texts(name for name, *_ in called),
        aggregates=_texts(name for name, aggregate, _ in called if aggregate),
        long_names=_texts(name for name, _, long in called if long),
        relations=_texts(sorted(words & {name for [name] in relations})),
    )
    session.run("SET search_path = pg_catalog")  # lest this runs what it has planted
    session.run(statement)
    session.run("RESET search_path")
    return len(called)


def _texts(values: Iterable[str]) -> str:
    return ", ".join(f"$t${value}$t$" for value in values)
