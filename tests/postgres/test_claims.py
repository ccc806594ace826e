"""Claims of direct parts: they outlive a run, and belong to one input of one load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from publishing import T

from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import direct
from jobs.dbaccess.load.copying.claims import Claims, Size, check_none, end_earlier_runs, key, open_claims, stream
from jobs.dbaccess.load.copying.direct import Direct, Superseded
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.pgcopy.sidecar_holds import HeldStaging

INPUT = (("the files", "1"), ("the query", "2"))


@pytest.fixture
def claims(session: Session) -> Claims:
    session.run("CREATE TABLE t (a int)")
    return open_claims(session, LUIGIS.located(session), "x", T, INPUT)


def a_run(session: Session, claims: Claims) -> Direct:
    names = staging.plan_staging(T, ("a",), stream(LUIGIS.located(session), "x"))
    staging.create_parts(session, names)
    return Direct(T, names, claims)


def copy(session: Session, into: Direct, part: int, attempt: int) -> None:
    assert direct.begin_attempt(session, into, part, attempt)
    direct.copy_part(session, into, part, attempt, [Counted(f"{part}\n".encode(), 1)])


def test_a_claim_is_committed_with_its_rows(session: Session, claims: Claims) -> None:
    copy(session, a_run(session, claims), 1, 7)
    assert claims.parts(session) == {1: Size(1, 1, 2)}
    assert session.run(f"SELECT count(*) FROM t, {claims.table.quoted} AS c WHERE t.xmin = c.xmin") == [[1]]


def test_a_part_of_an_earlier_run_is_not_copied_again(session: Session, claims: Claims) -> None:
    """Whatever a later run has found missing: the attempt of an earlier one may commit after it looked."""
    copy(session, a_run(session, claims), 0, 1)
    later = a_run(session, claims)
    with pytest.raises(Superseded):
        copy(session, later, 0, 1)
    assert session.run("SELECT count(*) FROM t") == [[1]]


def test_a_rerun_ends_the_attempts_of_earlier_runs(session: Session, claims: Claims) -> None:
    earlier = a_run(session, claims)
    assert direct.begin_attempt(session, earlier, 0, 1)
    end_earlier_runs(session, LUIGIS.located(session), "y", T)
    assert staging.exists(session, earlier.names)
    end_earlier_runs(session, LUIGIS.located(session), "x", T)
    with pytest.raises(Exception, match="does not exist"):
        direct.copy_part(session, earlier, 0, 1, [Counted(b"0\n", 1)])
    assert session.run("SELECT count(*) FROM t") == [[0]]


def test_before_parts_go_straight_into_the_table_no_driver_can_publish_kept_staging(session: Session) -> None:
    """It would publish all of the load's rows, beside the parts of this run if that failed."""
    session.run("CREATE TABLE t (a int)")
    ledger = LUIGIS.located(session)
    kept = replace(staging.plan_staging(T, ("a",), stream(ledger, "x")), note="kept by pgjobs until 99999999999 (1) {}")
    staging.create(session, kept, T)
    end_earlier_runs(session, ledger, "x", T)
    assert staging.exists(session, kept), "a run with --keep-staging takes it over"
    end_earlier_runs(session, ledger, "x", T, with_kept=True)
    assert not staging.exists(session, kept)


def test_a_rerun_ends_a_run_of_another_version_whose_parts_table_has_other_columns(
    session: Session, claims: Claims
) -> None:
    earlier = a_run(session, claims)
    session.run(f"ALTER TABLE {earlier.names.parts.quoted} DROP COLUMN rows, DROP COLUMN failure")
    end_earlier_runs(session, LUIGIS.located(session), "x", T)
    assert not staging.exists(session, earlier.names)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda ours: replace(ours, fingerprint=(("the files", "1"), ("the query", "3"))), "is the query"),
        (lambda ours: replace(ours, fingerprint=(("the files", "0"), ("the query", "3"))), "is the files, the query"),
        (lambda ours: replace(ours, target=TableName("u", "public")), r"is the table \(public\.t\)"),
    ],
)
def test_claims_of_another_input_or_table_are_refused(
    session: Session, claims: Claims, other: Callable[[Claims], Claims], named: str
) -> None:
    copy(session, a_run(session, claims), 0, 1)
    with pytest.raises(UsageError, match=named):
        other(claims).parts(session)


def test_claims_belong_to_one_load_of_one_ledger(session: Session, claims: Claims) -> None:
    copy(session, a_run(session, claims), 0, 1)
    ledger = LUIGIS.located(session)
    others = [key(ledger, "y"), key(Ledger(TableName("markers", "public")), "x")]
    assert [replace(claims, load=other).parts(session) for other in others] == [{}, {}]
    assert key(ledger, "x") == claims.load


def test_a_table_that_cannot_hold_claims_is_refused(session: Session) -> None:
    session.run("CREATE TABLE pgjobs_claims (load text, part int)")
    with pytest.raises(UsageError, match=r"public\.pgjobs_claims cannot hold claims"):
        open_claims(session, LUIGIS.located(session), "x", T, INPUT)


def test_a_load_of_which_parts_are_there_is_done_in_no_other_way(session: Session, claims: Claims) -> None:
    """Nor can an attempt of the earlier run add any after that was checked."""
    ledger = LUIGIS.located(session)
    earlier = a_run(session, claims)
    check_none(session, ledger, "x", T, ends_earlier_runs=False)  # as --dry-run does
    assert staging.exists(session, earlier.names)
    check_none(session, ledger, "x", T)
    with pytest.raises(Exception, match="does not exist"):
        direct.copy_part(session, earlier, 0, 1, [Counted(b"0\n", 1)])
    copy(session, a_run(session, claims), 0, 1)
    check_none(session, ledger, "y", T)
    refused = "--publish parts has copied parts of the load 'x' into the table"
    with pytest.raises(UsageError, match=refused):
        check_none(session, ledger, "x", T)
    with pytest.raises(UsageError, match=refused):  # as pgcopy does
        HeldStaging(staging.plan_staging(T, ("a",)), T, load_id="x").take(session)


def test_claims_are_found_whatever_the_search_path(session: Session, claims: Claims) -> None:
    """They are beside the marker table: with others, a rerun would copy all parts again."""
    copy(session, a_run(session, claims), 0, 1)
    session.run("CREATE SCHEMA elsewhere; SET search_path = elsewhere")
    again = open_claims(session, Ledger(TableName("table_updates", "public")), "x", T, INPUT)
    assert list(again.parts(session)) == [0]


def test_claims_of_a_table_that_was_replaced_or_emptied_are_refused(session: Session, claims: Claims) -> None:
    copy(session, a_run(session, claims), 0, 1)
    claims.check_kept(session, claims.parts(session))
    session.run("DELETE FROM t")
    session.run("VACUUM t")
    with pytest.raises(UsageError, match=r"was in public\.t, and the table is empty now"):
        claims.check_kept(session, claims.parts(session))
    session.run("ALTER TABLE t RENAME TO old; CREATE TABLE t (a int)")
    with pytest.raises(UsageError, match="another one has its name now"):
        open_claims(session, LUIGIS.located(session), "x", T, INPUT).parts(session)


@pytest.mark.parametrize("is_partitioned", [False, True])
def test_claims_of_a_table_that_was_emptied_and_filled_again_are_refused(
    session: Session, claims: Claims, is_partitioned: bool
) -> None:
    if is_partitioned:
        session.run("DROP TABLE t; CREATE TABLE t (a int) PARTITION BY RANGE (a)")
        session.run("CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (9)")
        claims = open_claims(session, LUIGIS.located(session), "x", T, INPUT)
    copy(session, a_run(session, claims), 0, 1)
    if is_partitioned:
        session.run("CREATE TABLE q PARTITION OF t FOR VALUES FROM (9) TO (10)")
    assert list(claims.parts(session)) == [0]
    session.run("TRUNCATE t; INSERT INTO t VALUES (7), (8)")
    for looked in (claims, open_claims(session, LUIGIS.located(session), "x", T, INPUT)):
        with pytest.raises(UsageError, match=r"1 part of the load 'x' .* emptied by TRUNCATE") as refused:
            looked.parts(session)
    session.run(refused.value.hint[refused.value.hint.index("UPDATE") :].partition(" WHERE")[0])
    assert list(claims.parts(session)) == [0]


@pytest.mark.parametrize("unreadable", ["no SELECT", "a policy", "an owner who is not trusted"])
def test_claims_that_cannot_be_read_are_not_taken_for_none(session: Session, claims: Claims, unreadable: str) -> None:
    copy(session, a_run(session, claims), 0, 1)
    role = "reader_of_claims"
    table = claims.table.quoted
    session.run(f"CREATE ROLE {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}; ALTER TABLE t OWNER TO {role}")
    if unreadable == "a policy":
        session.run(f"GRANT SELECT ON {table} TO {role}; ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    elif unreadable == "an owner who is not trusted":
        session.run(f"CREATE ROLE {role}_2; GRANT CREATE ON SCHEMA public TO {role}_2")
        session.run(f"ALTER TABLE {table} OWNER TO {role}_2; GRANT SELECT ON {table} TO {role}")
    try:
        session.run(f"SET ROLE {role}")
        with pytest.raises(UsageError, match=r"GRANT SELECT ON|belongs to reader_of_claims_2"):
            check_none(session, LUIGIS.located(session), "x", T)
    finally:
        session.run("RESET ROLE")
        for name in (role, f"{role}_2") if "owner" in unreadable else (role,):
            session.run(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_no_part_is_claimed_in_a_table_that_took_the_name(session: Session, claims: Claims) -> None:
    run = a_run(session, claims)
    session.run("ALTER TABLE t RENAME TO old; CREATE TABLE t (a int)")
    with pytest.raises(LoadError, match="was replaced by another table while parts were copied"):
        copy(session, run, 0, 1)
    assert session.run("SELECT count(*) FROM t") == [[0]]
