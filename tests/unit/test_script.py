"""A script is split where psql splits it, and names become places of values outside of quotes and comments only."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.query.script import split

ATOMIC = "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END"


@pytest.mark.parametrize(
    ("script", "texts"),
    [
        ("", []),
        (" ; -- nothing\n;/* at all; */", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';'; SELECT 'it''s; one'", ["SELECT ';'", "SELECT 'it''s; one'"]),
        (r"SELECT E'\';'; SELECT 2", [r"SELECT E'\';'", "SELECT 2"]),
        ("SELECT E'a'\n  'b\\';'; SELECT 2", ["SELECT E'a'\n  'b\\';'", "SELECT 2"]),
        (r"SELECT '\'; SELECT 2", [r"SELECT '\'", "SELECT 2"]),
        ('SELECT ";"";" AS a; SELECT 2', ['SELECT ";"";" AS a', "SELECT 2"]),
        ("DO $$ BEGIN; END $$; SELECT 2", ["DO $$ BEGIN; END $$", "SELECT 2"]),
        ("DO $a$ ; $$ ; $b$ ; $a$; SELECT 2", ["DO $a$ ; $$ ; $b$ ; $a$", "SELECT 2"]),
        ("SELECT a$b$; SELECT c$b$", ["SELECT a$b$", "SELECT c$b$"]),
        ("/* a /* ; */ ; */ SELECT 1; -- ;\nSELECT 2", ["/* a /* ; */ ; */ SELECT 1", "-- ;\nSELECT 2"]),
        ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", None),
        (f"{ATOMIC}; SELECT 3", [ATOMIC, "SELECT 3"]),
        ("SELECT CASE WHEN true THEN 1 END; SELECT 2", ["SELECT CASE WHEN true THEN 1 END", "SELECT 2"]),
    ],
)
def test_a_semicolon_ends_a_statement_where_psql_ends_it(script: str, texts: list[str] | None) -> None:
    wanted = ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"] if texts is None else texts
    assert [statement.text for statement in split(script)] == wanted


@pytest.mark.parametrize(
    ("script", "text", "names"),
    [
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1", ("a", "b")),
        ("SELECT :a::int", "SELECT $1::int", ("a",)),
        ("SELECT x[1:a], ':a', \":a\", $$:a$$ -- :a", "SELECT x[1$1], ':a', \":a\", $$:a$$ -- :a", ("a",)),
        ("SELECT x[1:n], :a", "SELECT x[1:n], $1", ("a",)),
        ("SELECT :ab, :a", "SELECT :ab, $1", ("a",)),
        ("SELECT f(x := :a)", "SELECT f(x := $1)", ("a",)),
        ("SELECT :größe", "SELECT $1", ("größe",)),
    ],
)
def test_a_name_is_the_place_of_a_value_outside_of_quotes(script: str, text: str, names: tuple[str, ...]) -> None:
    [statement] = split(script, names)
    assert (statement.text, statement.names) == (text, names)


def test_each_statement_counts_its_own_values() -> None:
    first, second = split("SELECT :a, :b; SELECT :b", ("a", "b"))
    assert (first.names, second.names, second.text) == (("a", "b"), ("b",), "SELECT $1")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("SELECT 1;\n SELECT 'a", "begins in line 2"),
        ('SELECT "a', "A quote or comment is not closed"),
        ("DO $$ BEGIN", "A quote or comment is not closed"),
        ("/* /* */ SELECT 1", "A quote or comment is not closed"),
        ("\nSELECT (1; SELECT 2", "A parenthesis is not closed in the statement of line 2"),
        ("SELECT $1", "\\$1 stands for no value"),
        ("SELECT 1$1", "\\$1 stands for no value"),
    ],
)
def test_what_is_not_closed_is_refused_with_its_line(script: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        split(script)


def test_a_name_without_a_place_is_refused() -> None:
    with pytest.raises(UsageError, match="no place for :day, :dya"):
        split("SELECT ':day'", ("day", "dya"))


@pytest.mark.parametrize(
    ("script", "ends"),
    [
        ("BEGIN", True),
        ("start transaction", True),
        ("COMMIT AND CHAIN", True),
        ("END", True),
        ("abort", True),
        ("ROLLBACK", True),
        ("PREPARE TRANSACTION 'x'", True),
        ("ROLLBACK TO s", False),
        ("ROLLBACK TO SAVEPOINT s", False),
        ("ROLLBACK WORK TO SAVEPOINT s", False),
        ("SAVEPOINT s", False),
        ("PREPARE s AS SELECT 1", False),
        ("SELECT 1 AS commit", False),
    ],
)
def test_what_begins_or_ends_a_transaction_is_known(script: str, ends: bool) -> None:
    [statement] = split(script)
    assert statement.ends_transaction == ends


def test_a_statement_knows_its_line() -> None:
    assert [statement.line for statement in split("\n-- a\nSELECT 1;\n\nSELECT\n2; SELECT 3")] == [3, 5, 6]
