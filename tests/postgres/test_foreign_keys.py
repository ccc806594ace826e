"""Foreign keys of the tables of a release, as the catalog has them; and tables that cannot be published together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.together.arrange import Arrangement
from jobs.dbaccess.load.together.foreign_keys import find_arrangement
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

KEYED = (
    'CREATE TABLE customers (id int PRIMARY KEY); CREATE TABLE "Odd ""one" (id int REFERENCES customers DEFERRABLE);'
    "CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, of int REFERENCES orders)"
)


def order(session: Session, *names: str, replaced: Sequence[str] = ()) -> Arrangement:
    tables = [TableName(name, "public") for name in names]
    return find_arrangement(session, tables, [TableName(name, "public") for name in replaced])


def names(tables: Sequence[TableName]) -> list[str]:
    return [table.name for table in tables]


def test_keys_are_those_of_the_catalog(session: Session) -> None:
    session.run(KEYED)
    found = order(session, "orders", 'Odd "one', "customers", replaced=("orders", "customers"))
    assert names(found.tables) == ["customers", "orders", 'Odd "one']
    assert names(found.emptied) == ["orders"]
    assert found.deferred == (TableName('Odd "one_id_fkey', "public"),)


def test_keys_of_partitions_are_those_of_their_table(session: Session) -> None:
    session.run("CREATE TABLE days (day int PRIMARY KEY) PARTITION BY RANGE (day)")
    session.run("CREATE TABLE day_1 PARTITION OF days FOR VALUES FROM (1) TO (2)")
    session.run("CREATE TABLE facts (day int) PARTITION BY RANGE (day)")
    session.run("CREATE TABLE fact_1 PARTITION OF facts FOR VALUES FROM (1) TO (2)")
    session.run("ALTER TABLE fact_1 ADD FOREIGN KEY (day) REFERENCES days")
    found = order(session, "facts", "days", replaced=("facts", "days"))
    assert (names(found.tables), names(found.emptied)) == (["days", "facts"], ["facts"])


def test_a_table_to_which_a_table_outside_refers_is_not_emptied(session: Session) -> None:
    session.run(KEYED)
    session.run("CREATE TABLE bills (of int REFERENCES orders)")
    assert order(session, "orders", "customers", replaced=("orders", "customers")).emptied == ()


def test_keys_that_form_a_circle_are_refused_unless_one_is_deferrable(session: Session) -> None:
    session.run(KEYED)
    session.run("ALTER TABLE customers ADD last int REFERENCES orders")
    with pytest.raises(UsageError, match=r"form a circle: .*customers_last_fkey from public\.customers to"):
        order(session, "orders", "customers")
    session.run("ALTER TABLE customers ALTER CONSTRAINT customers_last_fkey DEFERRABLE")
    tables = [TableName("orders", "public"), TableName("customers", "public")]
    assert names(find_arrangement(session, tables, []).tables) == ["customers", "orders"]
    with pytest.raises(UsageError, match="form a circle"):  # rows that violate it are put aside
        find_arrangement(session, tables, [], checked_at_once=tables[1:])


def test_tables_that_the_release_creates_come_last(session: Session) -> None:
    session.run(KEYED)
    tables = [TableName(name, "public") for name in ("new", "orders", "another", "customers")]
    found = find_arrangement(session, tables, tables, creatable=tables)
    assert names(found.tables) == ["customers", "orders", "new", "another"]
    assert names(found.emptied) == ["orders"]
    with pytest.raises(UsageError, match=r"There is no table public\.another"):
        find_arrangement(session, tables, [], creatable=tables[:1])


def test_a_key_is_deferred_only_if_no_other_constraint_of_its_name_forbids_that(session: Session) -> None:
    """SET CONSTRAINTS takes names. Constraints of several tables may have the same one."""
    session.run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int CONSTRAINT fk REFERENCES a DEFERRABLE)")
    assert names(order(session, "a", "b").deferred) == ["fk"]
    session.run("CREATE TABLE c (a int CONSTRAINT fk REFERENCES a)")
    assert order(session, "b", "a") == Arrangement((TableName("a", "public"), TableName("b", "public")))


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (("t", "t"), r"public\.t is in the release more than once"),
        (("t", "none"), r"There is no table public\.none"),
        (("t", "v"), r"public\.v is not a plain or partitioned table"),
        (("p", "t", "p1"), r"public\.p1 is a partition or child of public\.p, and both"),
        (("p1", "p"), r"public\.p1 is a partition or child of public\.p, and both"),
    ],
)
def test_tables_that_cannot_be_published_together_are_refused(
    session: Session, tables: tuple[str, ...], told: str
) -> None:
    session.run(
        "CREATE TABLE t (a int); CREATE VIEW v AS SELECT * FROM t; CREATE TABLE p (a int) PARTITION BY LIST (a)"
    )
    session.run("CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)")
    with pytest.raises(UsageError, match=told):
        order(session, *tables)
