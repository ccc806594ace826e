"""Which tables of a database patterns can choose."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract.table_patterns import Relation, TablePattern, choose, relations
from jobs.dbaccess.session import Session

CREATE = """
CREATE SCHEMA sales; CREATE SCHEMA "Other"; CREATE SCHEMA hidden;
CREATE TABLE t (id int); CREATE TABLE sales.t (id int); CREATE TABLE "Other"."a.b" (id int);
CREATE TABLE hidden.h (id int); CREATE VIEW sales.v AS SELECT 1 AS a; CREATE MATERIALIZED VIEW sales.m AS SELECT 1 AS a;
CREATE TABLE sales.p (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE sales.p1 PARTITION OF sales.p DEFAULT PARTITION BY RANGE (id);
CREATE TABLE sales.p11 PARTITION OF sales.p1 DEFAULT;
CREATE TABLE sales.parent (id int); CREATE TABLE sales.child () INHERITS (sales.parent);
CREATE TABLE public.pgjobs_rows_0123456789abcdef0123456789abcdef (id int);
CREATE TEMPORARY TABLE t2 (id int)
"""


def found(session: Session) -> dict[str, Relation]:
    return {str(each.name): each for each in relations(session)}


def test_all_tables_but_those_of_the_system_and_of_running_loads_can_be_chosen(session: Session) -> None:
    session.run(CREATE)
    names = [name for name in found(session) if name != "public.table_updates"]
    assert names == [
        *('Other."a.b"', "hidden.h", "public.t"),
        *(f"sales.{name}" for name in ("child", "m", "p", "p1", "p11", "parent", "t", "v")),
    ]


def test_what_is_below_a_table_is_known_at_all_levels(session: Session) -> None:
    session.run(CREATE)
    by_name = found(session)
    assert by_name["sales.p11"].ancestors == {by_name["sales.p"].oid, by_name["sales.p1"].oid}
    assert by_name["sales.child"].ancestors == {by_name["sales.parent"].oid}
    assert [str(each.name) for each in choose(list(by_name.values()), [TablePattern.parse("sales.*")])] == [
        *("sales.m", "sales.p", "sales.parent", "sales.t"),
    ]


def test_a_child_table_is_read_with_its_parent_only_if_that_loses_nothing(session: Session) -> None:
    session.run("CREATE TABLE a (id int, gone int); CREATE TABLE b (id int); CREATE TABLE c () INHERITS (a, b)")
    session.run("ALTER TABLE a DROP COLUMN gone; CREATE TABLE d (more text) INHERITS (b)")
    known = relations(session)
    with pytest.raises(UsageError, match=r"public\.c is a child table of public\.a, .* and of public\.b"):
        choose(known, [TablePattern.parse("?")])
    with pytest.raises(UsageError, match=r"public\.d is a child table of public\.b, .* which lacks its columns more\."):
        choose(known, [TablePattern.parse("b")])
    assert [each.name.name for each in choose(known, [TablePattern.parse("a")])] == ["a"]


def test_a_name_alone_is_the_table_that_the_search_path_finds(session: Session) -> None:
    session.run(f"{CREATE}; SET search_path = sales, public")
    assert {name for name, each in found(session).items() if each.visible and name.endswith(".t")} == {"sales.t"}
    session.run("SET search_path = public")
    assert {name for name, each in found(session).items() if each.visible and name.endswith(".t")} == {"public.t"}


def test_the_privilege_to_read_a_table_is_that_to_read_all_of_its_columns(session: Session) -> None:
    role = f"pgjobs_reader_{session.backend.pid}"
    session.run(
        "CREATE TABLE whole (a int, b int); CREATE TABLE one (a int, b int); CREATE TABLE every_one (a int, b int)"
    )
    session.run("CREATE TABLE nothing (a int); CREATE SCHEMA closed; CREATE TABLE closed.t (a int)")
    session.run(f"CREATE ROLE {role}; GRANT SELECT ON whole, closed.t TO {role}; GRANT SELECT (a) ON one TO {role}")
    session.run(f"GRANT SELECT (a, b) ON every_one TO {role}")
    try:
        session.run(f"SET ROLE {role}")
        readable = {name for name, each in found(session).items() if each.readable}
        assert readable == {"public.every_one", "public.whole"}
    finally:
        session.run(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
