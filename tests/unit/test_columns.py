"""Columns as the user defines them: NAME=TYPE is parsed, and what would define something else is refused."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions.columns import COLUMN_TYPE, Definition, parse


@pytest.mark.parametrize(
    ("text", "definition"),
    [
        ("id=bigserial", Definition("id", "bigserial")),
        (" Name = varchar(20) NOT NULL ", Definition("Name", "varchar(20) NOT NULL")),
        ("price=numeric(10,2)", Definition("price", "numeric(10,2)")),
        ("kind=text DEFAULT 'a,b;c)'", Definition("kind", "text DEFAULT 'a,b;c)'")),
        ("kind=text CHECK (kind IN ('a', 'b'))", Definition("kind", "text CHECK (kind IN ('a', 'b'))")),
        ('"a=""b"=int[]', Definition('a="b', "int[]")),
        ("kind=text DEFAULT $$;$$ -- why", Definition("kind", "text DEFAULT $$;$$ -- why")),
    ],
)
def test_a_definition_is_a_name_and_what_follows_it_in_create_table(text: str, definition: Definition) -> None:
    assert parse([text], COLUMN_TYPE) == (definition,)


@pytest.mark.parametrize("text", ["id", "id=", "=int", "id= ", '"id=int', ""])
def test_what_is_no_name_and_type_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--column-type .* is not NAME=TYPE"):
        parse([text], COLUMN_TYPE)


@pytest.mark.parametrize(
    "sql",
    [
        "int, other int",
        "int, CHECK (a > 0)",
        "int) INHERITS (other",
        "int); DROP TABLE orders; --",
        "int;",
        "text DEFAULT 'a\\', other int --'",
        "int CHECK (a > 0))",
        "numeric(10",
    ],
)
def test_what_would_leave_its_place_in_create_table_is_refused(sql: str) -> None:
    with pytest.raises(UsageError, match="is not the type of one column"):
        parse([f"a={sql}"], COLUMN_TYPE)


def test_a_quote_that_is_not_closed_is_refused() -> None:
    with pytest.raises(UsageError, match="not closed"):
        parse(["a=text DEFAULT 'x"], COLUMN_TYPE)


def test_a_column_is_defined_once() -> None:
    with pytest.raises(UsageError, match="--column-type defines a more than once"):
        parse(["a=int", "b=int", "a=text"], COLUMN_TYPE)
