"""Functions and operators that somebody planted on the search_path: better matches for many calls than the server's."""

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

OPERATORS = ("=", "<>", "<", ">", "<=", ">=", "~", "!~", "||", "&", "|", "<<", "+", "-", "*", "/", "%", "#")

_PLANT = """
DO $do$
DECLARE
    types text[] := ARRAY[{types}]; names text[] := ARRAY[{names}]; operators text[] := ARRAY[{operators}];
    one text; other text; called text; run text := $$ LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $m$planted$m$; END'$$;
BEGIN
    FOREACH one IN ARRAY types LOOP
        FOREACH called IN ARRAY names LOOP
            EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s', called, one, one) || run;
        END LOOP;
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
END $do$
"""


def plant(session: Session) -> int:
    """Plant every operator, and every function of the server's that our sources call; how many functions those are."""
    calls = {name for path in SOURCE.rglob("*.py") for name in re.findall(r"\b([a-z_0-9]+)\(", path.read_text())}
    found = session.run("SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace")
    names = sorted(calls & {name for [name] in found})
    session.run(_PLANT.format(types=_texts(TYPES), names=_texts(names), operators=_texts(OPERATORS)))
    return len(names)


def _texts(values: Iterable[str]) -> str:
    return ", ".join(f"$t${value}$t$" for value in values)
