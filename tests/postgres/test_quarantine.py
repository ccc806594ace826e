"""A task puts aside the lines that the server refuses, and copies all others, whatever the blocks are."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pytest
from stages import TARGET

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts, receipts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.rejects import blocks, quarantine
from jobs.dbaccess.load.rejects.policy import QUARANTINE, Policy, TooManyRejects
from jobs.dbaccess.load.rejects.quarantine import Outcome
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

POLICY = Policy(QUARANTINE)
GOOD, BAD = b"1\tx\n", b"bad\tx\n"


@pytest.fixture
def names(session: Session) -> Staging:
    """Staging with a table for rejects, for a table of many ways to refuse a row."""
    session.run("CREATE DOMAIN small AS int CHECK (VALUE < 1000)")
    session.run("CREATE TABLE t (a small, b varchar(5))")
    planned = staging.plan_staging(TARGET, ["a", "b"]).with_rejects()
    staging.create_beside(session, planned, TARGET)
    return planned


def attempt(
    session: Session, names: Staging, blocks: Iterable[Counted], number: int = 1, policy: Policy = POLICY
) -> Outcome:
    assert parts.begin_attempt(session, names, 0, number)
    return quarantine.copy_part(session, names, 0, number, blocks, policy=policy)


def rejected(session: Session, names: Staging, columns: str) -> list[list[object]]:
    assert names.rejects
    query = f"SELECT {columns} FROM {names.rejects.quoted} WHERE reason IS NOT NULL ORDER BY part_row"
    return session.run(query)


def of_lines(lines: Sequence[bytes], per_block: int, hashes: bool = False) -> Iterator[Counted]:
    for start in range(0, len(lines), per_block):
        some = lines[start : start + per_block]
        numbers = range(start, start + len(some))
        packed = b"".join(struct.pack("!q", number) for number in numbers) if hashes else b""
        origins = [f"{-number}\t{number}\t".encode() for number in numbers]
        yield Counted(b"".join(some), len(some), sum(numbers) if hashes else 0, packed, origins)


def test_a_refused_line_is_told_with_all_that_is_known(session: Session, names: Staging) -> None:
    lines = [
        GOOD,
        BAD,
        b"1\ttoo long\n",
        GOOD,
        b"2000\t\\N\n",
        b"99999999999\t\xff\n",
        b"7\ta\0\n",
        "3\té\\t\\n\n".encode(),
    ]
    outcome = attempt(session, names, list(of_lines(lines, 3, hashes=True)))
    assert outcome == Outcome(rows=3, hashes=0 + 3 + 7, rejected=5)
    told = rejected(session, names, "part_row, file, file_row, column_name, sqlstate, reason, row::text")
    assert told == [
        [2, -1, 2, "a", "22P02", "invalid_text", '{"a": "bad", "b": "x"}'],
        [3, -2, 3, "b", "22001", "too_long", '{"a": "1", "b": "too long"}'],
        [5, -4, 5, "a", "23514", "check", '{"a": "2000", "b": null}'],
        [6, -5, 6, None, "22021", "encoding", '{"a": "99999999999", "b": "\ufffd"}'],
        [7, -6, 7, None, "22021", "nul", '{"a": "7", "b": "a\ufffd"}'],
    ]
    assert session.run(f"SELECT a, b FROM {names.rows.quoted} ORDER BY ctid") == [[1, "x"], [1, "x"], [3, "é\t\n"]]


def test_blocks_may_come_as_slowly_as_those_of_a_copy(session: Session, names: Staging) -> None:
    """The transaction is idle between two of them. A COPY that waits for rows is not, to the server."""
    session.run("SET idle_in_transaction_session_timeout = '100ms'")
    large = Counted(GOOD * 250_000, 250_000)

    def slow() -> Iterator[Counted]:
        yield large
        time.sleep(0.3)
        yield Counted(GOOD, 1)

    assert attempt(session, names, slow()).rows == 250_001


@pytest.mark.parametrize("per_block", [1, 7, 5000])
def test_good_and_rejected_are_all_that_was_read_however_bad_lines_are_spread(
    session: Session, names: Staging, per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "SMALLEST", 64)
    monkeypatch.setattr(blocks, "WINDOW", 4096)
    kinds = {b"%d\tx\n": None, b"%d\tyyyyy\n": None, b"x%d\tx\n": "invalid_text", b"%d\ttoo long\n": "too_long"}
    chance = random.Random(per_block)  # noqa: S311 - rows of a test
    drawn = [*chance.choices(list(kinds), [30, 30, 1, 1], k=1000), *chance.choices(list(kinds), [1, 1, 9, 9], k=300)]
    drawn += [b"%d\tx\n"] * 1000
    lines = [kind % (place % 1000) for place, kind in enumerate(drawn)]
    bad = [[place, kinds[kind]] for place, kind in enumerate(drawn, 1) if kinds[kind]]
    outcome = attempt(session, names, list(of_lines(lines, per_block)))
    assert (outcome.rows, outcome.rejected) == (len(lines) - len(bad), len(bad))
    assert rejected(session, names, "part_row, reason") == bad
    good = [place % 1000 for place, kind in enumerate(drawn) if not kinds[kind]]
    assert [a for [a] in session.run(f"SELECT a FROM {names.rows.quoted} ORDER BY a")] == sorted(good)


def test_rows_of_an_attempt_that_does_not_count_are_deleted_with_its_rejects(session: Session, names: Staging) -> None:
    lines = [GOOD, BAD, GOOD, GOOD, BAD]
    for number in (1, 2):
        attempt(session, names, list(of_lines(lines, 2)), number)
    tally = receipts.accept(session, names, [Receipt(0, 2)])
    assert (tally.rows, tally.discarded) == (3, 1)
    assert session.run(f"SELECT count(*) FROM {names.rows.quoted}") == [[3]]
    assert rejected(session, names, "attempt, part_row") == [[2, 2], [2, 5]]


def test_a_part_ends_early_when_more_are_rejected_than_the_user_allows(session: Session, names: Staging) -> None:
    read: list[int] = []

    def blocks() -> Iterator[Counted]:
        for place, counted in enumerate(of_lines([BAD] * 1000 + [GOOD] * 1_000_000, 100_000)):
            read.append(place)
            yield counted

    parts.begin_attempt(session, names, 0, 1)
    with pytest.raises(TooManyRejects, match=r"At least 6 rows were rejected, and --max-errors allows 5; the last one"):
        quarantine.copy_part(session, names, 0, 1, blocks(), policy=replace(POLICY, max_errors=5))
    assert len(read) < 5
    assert session.run(f"SELECT count(*) FROM {names.rows.quoted}") == [[0]]


def test_an_error_that_is_not_about_a_row_fails_the_part(session: Session) -> None:
    session.run("CREATE DOMAIN slow AS int CHECK (pg_sleep(1)::text IS NOT NULL)")
    session.run("CREATE TABLE t (a slow, b int)")
    planned = staging.plan_staging(TARGET, ["a", "b"]).with_rejects()
    staging.create_beside(session, planned, TARGET)
    session.run("SET statement_timeout = '50ms'")
    with pytest.raises(DatabaseError, match="statement timeout"):
        attempt(session, planned, [Counted(b"1\t1\n", 1)])


def test_a_value_with_a_syntax_of_its_own_is_put_aside(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b tsquery)")
    planned = staging.plan_staging(TARGET, ["a", "b"]).with_rejects()
    staging.create_beside(session, planned, TARGET)
    attempt(session, planned, list(of_lines([b"1\tx\n", b"2\tsecret &&\n", b"3\ty\n"], 10)))
    [[row, reason, message]] = rejected(session, planned, "part_row, reason, message")
    assert (row, reason, "secret" in str(message)) == (2, "invalid_text", False)


def test_a_value_that_its_type_refuses_as_an_internal_error_is_put_aside(session: Session) -> None:
    """As PostGIS refuses a geometry that it cannot read."""
    session.run(
        "CREATE FUNCTION readable(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN IF $1 = 2 THEN "
        "RAISE ''parse error of \"%\"'', $1 USING ERRCODE = ''XX000''; END IF; RETURN true; END'; "
        "CREATE DOMAIN shape AS int CHECK (readable(VALUE)); CREATE TABLE t (a shape, b int)"
    )
    planned = staging.plan_staging(TARGET, ["a", "b"]).with_rejects()
    staging.create_beside(session, planned, TARGET)
    attempt(session, planned, list(of_lines([b"1\t1\n", b"2\t1\n", b"3\t1\n"], 10)))
    [[row, column, reason, message]] = rejected(session, planned, "part_row, column_name, reason, message")
    assert (row, column, reason, '"2"' in str(message)) == (2, "a", "invalid_value", False)


def test_a_row_that_is_too_big_is_found_although_the_server_names_a_later_one(session: Session) -> None:
    columns = [f"c{number}" for number in range(600)]
    session.run(f"CREATE TABLE t ({', '.join(f'{column} text' for column in columns)})")
    planned = staging.plan_staging(TARGET, columns).with_rejects()
    staging.create_beside(session, planned, TARGET)
    small, big = (b"\t".join([value] * 600) + b"\n" for value in (b"x", b"12345678901234567890"))
    attempt(session, planned, list(of_lines([small] * 70 + [big] + [small] * 200, 1000)))
    assert rejected(session, planned, "part_row, reason") == [[71, "too_big"]]


def test_a_database_of_another_encoding_rejects_what_it_lacks_and_keeps_the_row(
    session: Session, database: Settings
) -> None:
    name = f"{database.dbname}_latin1"
    session.run(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        with connect(replace(database, dbname=name), "latin1") as latin1:
            latin1.run("CREATE TABLE t (a int, b text)")
            planned = staging.plan_staging(TARGET, ["a", "b"]).with_rejects()
            staging.create_beside(latin1, planned, TARGET)
            attempt(latin1, planned, list(of_lines(["1\té\n".encode(), "2\t€\n".encode(), "x\té\n".encode()], 10)))
            assert latin1.run(f"SELECT b FROM {planned.rows.quoted}") == [["é"]]
            assert rejected(latin1, planned, "sqlstate, reason, row->>'b'") == [
                ["22P05", "encoding", "\\u20ac"],
                ["22P02", "invalid_text", "é"],
            ]
    finally:
        session.run(f"DROP DATABASE {name} WITH (FORCE)")
