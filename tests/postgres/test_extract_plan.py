"""What an extract finds of its source, and what it refuses before anything is read."""

from __future__ import annotations

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import TransientError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.plan import Wanted, find_source, plan_extract

T = TableName("t", "public")


def test_nobody_takes_a_leaf_away_while_the_snapshot_is_held(session: Session, database: Settings) -> None:
    """TRUNCATE would empty it for older snapshots, too, and VACUUM FULL would move its rows to other blocks."""
    session.run("CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE leaf PARTITION OF t DEFAULT")
    with connect(database, "holder") as holder:
        holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        wanted = Wanted(T)
        plan_extract(holder, wanted, find_source(holder, wanted))
        session.run("SET lock_timeout = '50ms'")
        for statement in ("TRUNCATE leaf", "VACUUM FULL leaf", "DROP TABLE leaf"):
            with pytest.raises(TransientError, match="lock timeout"):
                session.run(statement)
        session.run("INSERT INTO t VALUES (1)")


TABLE = "CREATE TABLE t (id int PRIMARY KEY, \"a.b`c\" text, x int); INSERT INTO t VALUES (1, 'y', 2)"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(), "either a table or a query"),
        (Wanted(TableName("nosuch")), "There is no table nosuch"),
        (Wanted(T, columns=("id", "nosuch")), "t has no column nosuch: it has id, a.b`c, x"),
        (Wanted(T, split_by="nosuch"), "t has no column nosuch"),
        (Wanted(T, text_columns=("nosuch",)), "t has no column nosuch"),
        (Wanted(T, filter="id"), "not one boolean expression"),
        (Wanted(TableName("keyless"), require_primary_key=True), "keyless has no primary key"),
        (Wanted(TableName("bare")), "bare has no columns"),
        (Wanted(TableName("documents"), split_by="j"), "cannot be split by j"),
        (Wanted(query="SELECT 1", require_primary_key=True), "A query has no primary key"),
        (Wanted(query="SELECT 1 AS a, 2 AS a"), "more than one column a"),
        (Wanted(query="SELECT nosuch"), "The query cannot be extracted"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_read(
    session: Session, wanted: Wanted, message: str
) -> None:
    session.run(TABLE)
    session.run("CREATE TABLE keyless (a int); CREATE TABLE bare (); CREATE TABLE documents (j json)")
    with pytest.raises(UsageError, match=message):
        plan_extract(session, wanted, find_source(session, wanted))
