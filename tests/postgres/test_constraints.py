"""Staged rows that violate a constraint are put aside: the others are those that single INSERTs would have let in."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRuns
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publishing import T

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, LoadError, UsageError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import parse_order
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.rejects import quarantine
from jobs.dbaccess.load.rejects.places import Place, PlacesWanted, Seeking
from jobs.dbaccess.load.rejects.policy import QUARANTINE, Policy, TooManyRejects
from jobs.dbaccess.load.rejects.table import Rejecting, Replayed, creating, find_replayed, rejects_table
from jobs.dbaccess.load.row_text import PLAIN, Form, RowText, measure
from jobs.dbaccess.load.verify import Verification
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

Row = Sequence[object]
IDS = count()
POLICY = Policy(QUARANTINE)
ABC = Move("append", ("a", "b", "c"))


def load(
    session: Session,
    rows: Sequence[Row],
    move: Move = ABC,
    policy: Policy = POLICY,
    *,
    verify: bool = False,
    replayed: Replayed | None = None,
    seeking: Seeking | None = None,
    find: Callable[[PlacesWanted], Seeking] | None = None,
) -> Published:
    """Load rows, and put bad ones aside."""
    names = staging.plan_staging(T, move.columns).with_rejects()
    staging.create_beside(session, names, T)
    lines = "".join("\t".join("\\N" if v is None else str(v) for v in row) + "\n" for row in rows)
    parts.begin_attempt(session, names, 0, 0)
    outcome = quarantine.copy_part(session, names, 0, 0, [Counted(lines.encode(), len(rows))], policy=policy)
    verification = None
    if verify:
        row = RowText(move.columns, (Form(PLAIN),) * len(move.columns), recode=False)
        verification = Verification(row, measure(session, names.rows.quoted, row.row_hash))
    receipt = Receipt(0, 0, outcome.rows, 0, outcome.rejected)
    plan = PublishPlan(f"load-{next(IDS)}", T, names, (receipt,), move, is_new=False, verification=verification)
    rejecting = Rejecting(policy, {77: "rows.csv"}, replayed, seeking)
    try:
        try:
            return publish(session, replace(plan, rejecting=rejecting))
        except PlacesWanted as wanted:
            assert find is not None
            return publish(session, replace(plan, rejecting=replace(rejecting, seeking=find(wanted))))
    except BaseException:
        staging.discard(session, names)
        raise


def rejected(session: Session, columns: str = "reason, column_name, row->>'a'") -> list[list[object]]:
    return session.run(f"SELECT {columns} FROM t_rejects ORDER BY id")


KINDS: dict[str, tuple[str, str, Row]] = {
    "not_null": ("a int NOT NULL, b int, c int", "a", [None, 1, 1]),
    "check": ("a int, b int CHECK (b % 2 = 0 AND 'x%' LIKE '%%'), c int", "b", [9, 1, 1]),
    "unique": ("a int PRIMARY KEY, b int, c int", "a", [1, 5, 5]),
    "foreign_key": ("a int, b int REFERENCES other, c int", "b", [9, 7, 1]),
    "exclusion": ("a int, b int, c int, EXCLUDE USING btree (c WITH =)", "c", [9, 2, 3]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_violated_constraint_is_told_with_its_row_and_the_others_are_loaded(session: Session, kind: str) -> None:
    columns, column, bad = KINDS[kind]
    session.run("CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (2), (4), (6)")
    session.run(f"CREATE TABLE t ({columns}); INSERT INTO t VALUES (1, 2, 3)")
    published = load(session, [[2, 4, 4], bad, [3, 6, 6], ["no", 2, 7]], verify=True)
    assert (published.inserted, published.rejected) == (2, 2)
    assert published.verified is not None
    a = None if bad[0] is None else str(bad[0])
    assert rejected(session, "part, reason, column_name, row->>'a', sqlstate <> '', message <> ''") == [
        [0, "invalid_text", "a", "no", True, True],
        [0, kind, column, a, True, True],
    ]
    assert session.run("SELECT a FROM t ORDER BY a") == [[1], [2], [3]]


def test_where_rows_come_from_is_asked_with_their_hashes_and_told_with_them(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int CHECK (b > 0), c int); INSERT INTO t VALUES (9, 9, 9)")
    row = RowText(ABC.columns, (Form(PLAIN),) * 3)
    asked = []

    def find(wanted: PlacesWanted) -> Seeking:
        asked.append(wanted)
        assert not session.run("SELECT 1 FROM pg_locks WHERE relation = 't'::regclass AND mode <> 'AccessShareLock'")
        _, known = wanted.misfits
        session.run("INSERT INTO t VALUES (2, 2, 2)")  # by somebody else, while the source is read
        return Seeking(row, found={known.staged: Place(77, 5, 3)})

    published = load(
        session, [[1, 0, 1], ["no", 1, 1], [9, 1, 1], [2, 1, 1], [3, 1, 1]], seeking=Seeking(row), find=find
    )
    assert (published.inserted, published.rejected) == (1, 4)
    [wanted] = asked
    assert ([one.part for one in wanted.misfits], wanted.refused, wanted.good) == ([0, 0], ((0, 2),), 2)
    assert [one.hash for one in wanted.misfits] == [
        session.value(f"SELECT {row.row_hash} FROM (VALUES ({a}, {b}, 1)) AS v (a, b, c)") for a, b in ((1, 0), (9, 1))
    ]
    assert rejected(session, "row->>'a', reason, file, file_row, part, part_row") == [
        ["no", "invalid_text", None, None, 0, 2],
        ["9", "unique", "rows.csv", 5, 0, 3],
        ["1", "check", None, None, 0, None],
        ["2", "unique", None, None, 0, None],
    ]


def test_a_row_that_conflicts_only_with_a_rejected_one_stays(session: Session) -> None:
    session.run("CREATE TABLE t (a int UNIQUE, b int UNIQUE, c int)")
    published = load(session, [[1, 1, 0], [1, 2, 1], [3, 2, 2], [3, 4, 3], [5, 4, 4], [None, None, 5], [None, None, 6]])
    assert published.rejected == 2
    assert session.run("SELECT c FROM t ORDER BY c") == [[0], [2], [4], [5], [6]]


@pytest.mark.parametrize(("nulls", "left"), [("", ["1", "3", "4", "6"]), ("NULLS NOT DISTINCT", ["1", "3", "4"])])
def test_a_composite_key_with_null_fields_is_no_null(session: Session, nulls: str, left: list[str]) -> None:
    if nulls and session.value("SELECT current_setting('server_version_num')::int < 150000"):
        pytest.skip("NULLS NOT DISTINCT is PostgreSQL 15's")
    session.run(f"CREATE TYPE pair AS (x int, y int); CREATE TABLE t (a int, b pair, c int, UNIQUE {nulls} (b))")
    rows: list[Row] = [[1, "(1,)", 0], [2, "(1,)", 0], [3, "(,)", 0], [4, None, 0], [5, "(,)", 0], [6, None, 0]]
    load(session, rows)
    assert session.run("SELECT a::text FROM t ORDER BY a") == [[one] for one in left]


def test_rows_that_reference_rows_of_the_same_load_stay_unless_those_are_rejected(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int REFERENCES t, c int CHECK (c > 0))")
    load(session, [[1, None, 1], [2, 3, 1], [3, 1, 1], [4, None, 0], [5, 4, 1], [6, 5, 1]])
    assert session.run("SELECT a FROM t ORDER BY a") == [[1], [2], [3]]
    assert rejected(session, "row->>'a', reason") == [["4", "check"], ["5", "foreign_key"], ["6", "foreign_key"]]


def test_rows_without_a_partition_and_values_of_the_server_are_judged(session: Session) -> None:
    session.run(
        "CREATE TABLE t (a int, b int DEFAULT 5 CHECK (a < b), c int, g int GENERATED ALWAYS AS (a + 1) STORED, "
        "id bigserial, CHECK (g <> 3)) PARTITION BY RANGE (a)"
    )
    session.run("CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10)")
    load(session, [[1, 1], [2, 1], [7, 1], [12, 1]], Move("append", ("a", "c")))
    assert session.run("SELECT a FROM t") == [[1]]
    assert rejected(session) == [["check", "g", "2"], ["check", None, "7"], ["check", None, "12"]]


def test_rows_by_whose_key_no_partition_can_be_created_are_put_aside(session: Session) -> None:
    session.run("CREATE TABLE t (a date, b int) PARTITION BY RANGE (a)")
    rows: list[Row] = [["2026-11-20", 1], [None, 2], ["infinity", 3]]
    published = load(session, rows, Move("append", ("a", "b"), new_partitions="day"))
    assert (published.rejected, len(published.created)) == (2, 1)
    assert session.run("SELECT b FROM t") == [[1]]


@pytest.mark.parametrize(
    ("key", "last"),
    [("date", "5874897-12-31"), ("timestamp", "294276-12-31 23:59:59"), ("timestamptz", "294276-12-31 23:59:59+00")],
)
@pytest.mark.parametrize("rule", ["day", "month", "6 hours", "10 years"])
def test_rows_that_are_not_within_the_years_1_to_9999_are_put_aside(
    session: Session, key: str, last: str, rule: str
) -> None:
    if (key, rule) == ("date", "6 hours"):
        rule = "week"
    session.run(f"CREATE TABLE t (a {key}, b int) PARTITION BY RANGE (a)")
    session.run("SET TimeZone = 'Asia/Tokyo'")
    texts = ["4714-11-25 BC", "0044-03-15 BC", "0001-01-01 00:00:00 BC", "10000-01-03", "12026-11-20", last]
    rows: list[Row] = [["2026-11-20", 0], *([text, number] for number, text in enumerate(texts, 1))]
    published = load(session, rows, Move("append", ("a", "b"), new_partitions=rule))
    assert (published.rejected, len(published.created)) == (6, 1)
    assert session.run("SELECT b FROM t") == [[0]]
    assert rejected(session, "reason, (row->>'b')::int") == [["check", number] for number in range(1, 7)]


def test_constraints_that_are_checked_at_the_commit_are_checked_before(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b int, c int, UNIQUE (a) DEFERRABLE INITIALLY DEFERRED)")
    assert load(session, [[1, 1, 1], [1, 2, 2]]).rejected == 1


def test_a_constraint_of_the_same_name_that_is_not_deferrable_is_in_nobodys_way(session: Session) -> None:
    session.run("CREATE TABLE o (i int PRIMARY KEY); CREATE TABLE other (i int CONSTRAINT fk REFERENCES o)")
    session.run("CREATE TABLE t (a int, b int, c int CONSTRAINT fk REFERENCES o DEFERRABLE INITIALLY DEFERRED)")
    session.run("INSERT INTO o VALUES (1)")
    assert load(session, [[1, 1, 1], [2, 2, 2]]).rejected == 1
    assert rejected(session) == [["foreign_key", "c", "2"]]


IGNORE = Move("ignore", ABC.columns, ("a",))
MODES = {
    "overwrite": (Move("overwrite", ABC.columns), [[7, 1, 1], [7, 2, 2]], [[7, 1]]),
    "a slice": (Move("overwrite", ABC.columns, where="b >= 5"), [[1, 5, 1], [2, 6, 2]], [[1, 1], [2, 6]]),
    "upsert": (Move("upsert", ABC.columns, ("a",)), [[1, 5, 1], [2, 5, 9]], [[1, 5], [2, 5]]),
    "ignore": (
        Move("ignore", ABC.columns, ("a",)),
        [[1, 9, 1], [3, 9, 1], [4, 9, 9], [4, 9, 9]],
        [[1, 1], [2, 5], [4, 9]],
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_puts_aside_what_it_would_not_let_in(session: Session, mode: str) -> None:
    move, rows, left = MODES[mode]
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int, c int UNIQUE)")
    session.run("INSERT INTO t VALUES (1, 1, 1), (2, 5, 2)")
    assert load(session, rows, move).rejected == (0 if mode == "upsert" else 1)
    assert session.run("SELECT a, b FROM t ORDER BY a") == left


def test_the_row_that_an_upsert_updates_is_known_by_the_equality_of_its_key(session: Session) -> None:
    if not session.run("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"):
        pytest.skip("the server has no citext")
    session.run("CREATE EXTENSION citext; CREATE TABLE t (a citext PRIMARY KEY, b int CHECK (b > 0), c int UNIQUE)")
    session.run("INSERT INTO t VALUES ('Key', 1, 5)")
    session.pin()
    assert load(session, [["kEY", 2, 5], ["new", 0, 6]], Move("upsert", ABC.columns, ("a",))).rejected == 1
    assert session.run("SELECT reason, row->>'a' FROM public.t_rejects") == [["check", "new"]]
    assert session.run("SELECT b FROM public.t") == [[2]]


def test_of_rows_whose_key_is_null_each_one_is_checked_that_ignore_would_insert(session: Session) -> None:
    session.run("CREATE TABLE t (a int UNIQUE, b int, c int UNIQUE)")
    session.run("INSERT INTO t VALUES (NULL, 1, 1)")
    assert load(session, [[None, 2, 2], [None, 3, 1], [None, 4, 4]], IGNORE).rejected == 1
    assert session.run("SELECT b FROM t ORDER BY b") == [[1], [2], [4]]


@pytest.mark.parametrize("exclusive", [False, True], ids=["unique", "exclusion"])
def test_a_row_that_is_left_out_for_a_conflict_is_not_put_aside_for_a_foreign_key(
    session: Session, exclusive: bool
) -> None:
    """The server checks foreign keys of rows that it has inserted."""
    unique = "EXCLUDE USING btree (a WITH =)" if exclusive else "UNIQUE (a)"
    session.run("CREATE TABLE o (i int PRIMARY KEY); INSERT INTO o VALUES (1)")
    session.run(f"CREATE TABLE t (a int, b int, c int REFERENCES o, {unique}); INSERT INTO t VALUES (1, 1, 1)")
    rows: list[Row] = [[1, 2, 9], [2, 3, 1], [2, 4, 9], [3, 5, 9], [3, 6, 1], [None, 7, 9]]
    published = load(session, rows, Move("ignore", ABC.columns))
    assert (published.rejected, published.inserted) == (2, 2)
    assert rejected(session, "row->>'b'") == [["5"], ["7"]]
    assert session.run("SELECT b FROM t ORDER BY b") == [[1], [3], [6]]


CHAINS: dict[str, tuple[list[Row], list[list[object]], list[int]]] = {
    "behind one that is put aside": ([[1, 1, 9], [1, 2, 1], [2, 2, 9]], [["9", "1"]], [2]),
    "behind one that only a row would keep out that is left out": (
        [[1, 1, 1], [1, 2, 9], [2, 2, 1], [2, 3, 9], [5, 5, 9]],
        [["9", "5"]],
        [1, 3],
    ),
    "behind one that is left out": ([[1, 1, 1], [1, 2, 1], [2, 2, 9], [2, 3, 1]], [["9", "3"]], [1, 4]),
}
"""Rows (a, b, c), of which a and b are unique and 9 is no reference; rejects, as c and place; the places that stay."""


@pytest.mark.parametrize("exclusive", [False, True], ids=["unique", "exclusion"])
@pytest.mark.parametrize("which", CHAINS)
def test_in_a_chain_of_conflicts_a_row_is_put_aside_for_a_foreign_key_only_if_it_would_be_inserted(
    session: Session, which: str, exclusive: bool
) -> None:
    rows, aside, places = CHAINS[which]
    unique = "EXCLUDE USING btree (b WITH =)" if exclusive else "UNIQUE (b)"
    session.run("CREATE TABLE o (i int PRIMARY KEY); INSERT INTO o VALUES (1)")
    session.run(f"CREATE TABLE t (a int UNIQUE, b int, c int REFERENCES o, d int, {unique})")
    move = Move("ignore", (*ABC.columns, "d"))
    published = load(session, [[*row, place] for place, row in enumerate(rows, 1)], move)
    assert (published.rejected, published.inserted) == (len(aside), len(places))
    assert rejected(session, "row->>'c', row->>'d'") == aside
    assert session.run("SELECT d FROM t ORDER BY d") == [[place] for place in places]


def test_a_reference_to_a_row_that_is_left_out_is_none_and_one_to_a_row_that_comes_in_then_is_one(
    session: Session,
) -> None:
    session.run("CREATE TABLE t (a int UNIQUE, b int UNIQUE, c int REFERENCES t (a))")
    rows: list[Row] = [[1, 1, None], [2, 1, None], [3, 3, 2], [4, 4, 3], [3, 5, None], [5, 6, 9]]
    published = load(session, rows, Move("ignore", ABC.columns))
    assert (published.rejected, published.inserted) == (2, 3)
    assert rejected(session, "row->>'b'") == [["3"], ["6"]]
    assert session.run("SELECT b FROM t ORDER BY b") == [[1], [4], [5]]


@pytest.mark.parametrize("skip", ["yes", "no"])
def test_rows_whose_required_key_is_null_are_put_aside_and_not_taken_for_one_key(session: Session, skip: str) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int, c int)")
    move = Move("upsert", ABC.columns, ("a",), skip_unchanged=skip)
    assert load(session, [[None, 1, 1], [None, 2, 2], [1, 1, 1]], move).rejected == 2
    assert session.run("SELECT a FROM t") == [[1]]


def test_rows_whose_required_key_is_null_are_put_aside_at_once(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int, c int)")
    move = Move("upsert", ABC.columns, ("a",), parse_order("b desc"))
    with caplog.at_level(logging.INFO):
        assert load(session, [[None, 1, 1], [None, 2, 2], [None, 3, 3], [1, 1, 1]], move).rejected == 3
    assert [record.message for record in caplog.records if "put aside" in record.message] == [
        "3 rows violate a constraint of public.t: put aside."
    ]


def test_above_the_limit_nothing_is_published_and_the_reasons_are_told(session: Session) -> None:
    session.run("CREATE TABLE t (a int NOT NULL, b int, c int)")
    with pytest.raises(TooManyRejects, match=r"2 of 3 rows .* allows 0\.5: 1 invalid_text in b, 1 not_null in a\."):
        load(session, [[1, 1, 1], [None, 1, 1], [1, "x", 1]], policy=replace(POLICY, max_error_rate=0.5))
    assert session.run("SELECT to_regclass('t_rejects'), (SELECT count(*) FROM t)") == [[None, 0]]


def test_two_loads_that_create_the_table_of_rejects_take_turns(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int NOT NULL, b int, c int)")
    with connect(database, "other") as other, ThreadPoolExecutor(1) as pool:
        with session.transaction():
            locks.wait_in_transaction(session, locks.publish(rejects_table(T)))
            session.run(creating(T))
            waiting = pool.submit(load, other, [[None, 1, 1]])
            with pytest.raises(StillRuns):
                waiting.result(0.5)
        assert waiting.result(10).rejected == 1


def test_a_reject_that_was_repaired_is_loaded_once_and_one_that_was_not_remains(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int, c int)")
    load(session, [[1, 1, 1], [2, "x", 1], [1, 2, 1]])
    [[first]] = session.run("SELECT DISTINCT load_id FROM t_rejects")
    session.run("UPDATE t_rejects SET row = row || '{\"b\": 5}' WHERE reason = 'invalid_text'")
    replayed = find_replayed(session, T, first)
    assert replayed.rows == ({"a": "2", "b": "5", "c": "1"}, {"a": "1", "b": "2", "c": "1"})
    rows = [[row[name] for name in "abc"] for row in replayed.rows]
    assert load(session, rows, replayed=replayed).rejected == 1
    assert session.run("SELECT a, b FROM t ORDER BY a") == [[1, 1], [2, 5]]
    assert session.run("SELECT load_id, reason FROM t_rejects") == [[first, "unique"]]
    with pytest.raises(LoadError, match=r"2 of 2 rows of public\.t_rejects were changed or loaded"):
        load(session, [[7, 7, 7]], replayed=replayed)
    with pytest.raises(UsageError, match=r"has no rows of the load 'other' that could be loaded"):
        find_replayed(session, T, "other")
    session.run('UPDATE t_rejects SET row = \'{"b": 1234567890123456.78, "c": 1.50}\'')
    assert find_replayed(session, T, first).rows == ({"b": "1234567890123456.78", "c": "1.50"},)
    session.run("UPDATE t_rejects SET row = '[1]'")
    with pytest.raises(UsageError, match="is not a JSON object of texts, numbers and nulls"):
        find_replayed(session, T, first)


AC = Move("append", ("a", "c"))
LIKE_SINGLE_INSERTS: dict[str, tuple[str, list[Row], list[Row]]] = {
    "whose key an earlier row has that references nothing": (
        """CREATE TABLE o (i int PRIMARY KEY); INSERT INTO o VALUES (2);
        CREATE TABLE t (a int UNIQUE, c int REFERENCES o)""",
        [[1, 7], [1, 2]],
        [[1, 2]],
    ),
    "whose key an earlier row has that is excluded": (
        "CREATE TABLE t (a int UNIQUE, c int, EXCLUDE USING btree (c WITH =))",
        [[0, 5], [1, 5], [1, 6]],
        [[0, 5], [1, 6]],
    ),
    "that get the default of a domain": (
        "CREATE DOMAIN d AS text DEFAULT 'new'; CREATE TABLE t (a int UNIQUE, c int, b d NOT NULL)",
        [[1, 1], [1, 2], [2, 3]],
        [[1, 1], [2, 3]],
    ),
    "with a value generated from an identity": (
        """CREATE TABLE t (a int UNIQUE, c int, id int GENERATED ALWAYS AS IDENTITY,
        g int NOT NULL GENERATED ALWAYS AS (id + 1) STORED)""",
        [[1, 1], [1, 2], [2, 3]],
        [[1, 1], [2, 3]],
    ),
    "whose partition depends on a sequence": (
        """CREATE TABLE t (a int CHECK (a > 0), c int, id serial) PARTITION BY RANGE (id);
        CREATE TABLE p PARTITION OF t FOR VALUES FROM (1) TO (6)""",
        [[1, 1], [0, 2], [2, 3]],
        [[1, 1], [2, 3]],
    ),
    "whose key only a table has that inherits": (
        """CREATE TABLE t (a int UNIQUE, c int CHECK (c > 0)); CREATE TABLE h () INHERITS (t);
        INSERT INTO h VALUES (1, 7)""",
        [[1, 1], [3, 0]],
        [[1, 1], [1, 7]],
    ),
    "that a function of the user's checks": (
        """CREATE TABLE o (i int); INSERT INTO o VALUES (1); CREATE FUNCTION known(int) RETURNS boolean LANGUAGE sql
        AS 'SELECT EXISTS (SELECT FROM o WHERE i = $1)'; CREATE TABLE t (a int CHECK (known(a)), c int)""",
        [[1, 1], [2, 2]],
        [[1, 1]],
    ),
}


@pytest.mark.parametrize("which", LIKE_SINGLE_INSERTS)
def test_rows_stay_as_single_inserts_would_have_it(session: Session, which: str) -> None:
    statements, rows, left = LIKE_SINGLE_INSERTS[which]
    session.run(statements)
    session.pin()
    assert load(session, rows, AC).rejected == 1
    assert session.run("SELECT a, c FROM public.t ORDER BY 1, 2") == left


def test_a_reject_is_not_replayed_with_what_stands_for_a_nul(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text, c text)")
    load(session, [[1, "x\0y", "\\N"]])
    [[first]] = session.run("SELECT load_id FROM t_rejects")
    with pytest.raises(UsageError, match=r"still has U\+FFFD or an escape"):
        find_replayed(session, T, first)
    session.run('UPDATE t_rejects SET row = row || \'{"b": "xy"}\'')
    assert find_replayed(session, T, first).rows == ({"a": "1", "b": "xy", "c": None},)


def test_a_row_is_not_put_aside_for_a_reference_that_policies_hide(session: Session) -> None:
    """The server's own check of a foreign key is bound by no policy."""
    role = f"pgjobs_tenant_{uuid.uuid4().hex[:8]}"
    session.run("CREATE TABLE other (id int PRIMARY KEY, own bool); INSERT INTO other VALUES (2, true), (4, false)")
    session.run("ALTER TABLE other ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON other USING (own)")
    session.run("CREATE TABLE t (a int, b int REFERENCES other, c int CHECK (c > 0))")
    session.run(f"CREATE ROLE {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    session.run(f"GRANT CREATE ON SCHEMA public TO {role}; SET ROLE {role}")
    try:
        published = load(session, [[1, 2, 1], [2, 4, 1], [3, 4, -1]])
        with pytest.raises(ConstraintViolated, match="t_b_fkey"):
            load(session, [[4, 4, 1], [5, 5, 1]])
    finally:
        session.run(f"RESET ROLE; REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")
    assert (published.inserted, published.rejected) == (2, 1)
    assert rejected(session) == [["check", "c", "3"]]
    assert session.run("SELECT a FROM t ORDER BY a") == [[1], [2]]


@pytest.mark.parametrize("setting", ["array_nulls = off", "quote_all_identifiers = on"])
def test_rows_are_put_aside_alike_whatever_the_roles_setting(session: Session, setting: str) -> None:
    session.run("CREATE TABLE t (a int, b serial CHECK (b < 6), c int, CHECK (a + c > 0))")
    session.run(f"SET {setting}")
    assert load(session, [[1, 1], [0, 0], [2, 3]], AC).inserted == 2
    assert rejected(session, "reason, column_name, row->>'a'") == [["check", None, "0"]]


def test_a_table_whose_trigger_may_change_rows_puts_none_aside_for_a_constraint(session: Session) -> None:
    session.run("CREATE TABLE t (a int UNIQUE, b int NOT NULL, c int)")
    session.run("CREATE FUNCTION b() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b := 1; RETURN NEW; END'")
    session.run("CREATE TRIGGER b BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION b()")
    with pytest.raises(ConstraintViolated, match=r"trigger or a rule of public\.t may change rows before"):
        load(session, [[1, 1], [1, 2], [2, 3]], AC)
    assert load(session, [[1, 1], [2, 3]], AC).inserted == 2


def test_what_a_trigger_refuses_fails_the_load(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b int, c int)")
    session.run("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$")
    session.run("CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()")
    with pytest.raises(ConstraintViolated):
        load(session, [[1, 1, 1]])


@pytest.fixture(scope="module")
def shared(server: Settings) -> Iterator[Session]:
    """A session on a database for all examples of a property."""
    name = "pgjobs_constraints"
    with connect(server, "pgjobs tests") as admin:
        admin.run(f"CREATE DATABASE {name}")
        try:
            with connect(replace(server, dbname=name), "pgjobs tests") as session:
                session.run("CREATE TABLE other (x int, y int, PRIMARY KEY (x, y))")
                session.run("INSERT INTO other SELECT x, y FROM generate_series(0, 3) x, generate_series(0, 2) y")
                LUIGIS.ensure(session)
                yield session
        finally:
            admin.run(f"DROP DATABASE {name} WITH (FORCE)")


CONSTRAINTS = (
    "CHECK (a < 4)",
    "CHECK (a + b <> c)",
    "UNIQUE (a)",
    "UNIQUE (b, c)",
    "PRIMARY KEY (a, c)",
    "FOREIGN KEY (a, b) REFERENCES other",
    "FOREIGN KEY (b, c) REFERENCES other MATCH FULL",
    "EXCLUDE USING btree (b WITH =) WHERE (c > 2)",
)
INDEXES = ("((a + b))", "(b) WHERE c = 1", "(c) WHERE a IS NULL")
VALUES = st.none() | st.integers(0, 5)


@settings(max_examples=40)
@given(
    constraints=st.lists(st.sampled_from(CONSTRAINTS), max_size=4, unique=True),
    indexes=st.lists(st.sampled_from(INDEXES), max_size=2, unique=True),
    required=st.sets(st.sampled_from("abc")),
    there=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=4),
    rows=st.lists(st.tuples(VALUES | st.just("x"), VALUES, VALUES), max_size=14),
)
@pytest.mark.parametrize("mode", ["append", "ignore"])
def test_the_good_rows_are_those_that_single_inserts_let_in(
    shared: Session,
    mode: str,
    constraints: list[str],
    indexes: list[str],
    required: set[str],
    there: list[Row],
    rows: list[Row],
) -> None:
    shared.run("DROP TABLE IF EXISTS t, t_rejects, model")
    for table in ("t", "model"):
        columns = ", ".join(f"{name} int{' NOT NULL' * (name in required)}" for name in "abc")
        shared.run(f"CREATE TABLE {table} ({', '.join([columns, *constraints])})")
        for index in indexes:
            shared.run(f"CREATE UNIQUE INDEX ON {table} {index}")
        for row in there:
            one_by_one(shared, table, row)
    end = " ON CONFLICT DO NOTHING" if mode == "ignore" else ""
    refused = sum(not one_by_one(shared, "model", row, end) for row in rows)
    published = load(shared, rows, replace(ABC, mode=mode))
    assert published.rejected == refused
    assert published.inserted + published.ignored + published.rejected == len(rows)
    assert shared.run("SELECT * FROM t ORDER BY 1, 2, 3") == shared.run("SELECT * FROM model ORDER BY 1, 2, 3")
    if refused:
        assert shared.run("SELECT count(*) FROM t_rejects") == [[refused]]


def one_by_one(session: Session, table: str, row: Row, end: str = "") -> bool:
    """Insert a row by a statement of its own. Return whether the table let it in."""
    values = ", ".join("NULL" if value is None else f"'{value}'" for value in row)
    try:
        session.run(f"INSERT INTO {table} VALUES ({values}){end}")
    except Exception:  # noqa: BLE001 - whatever the server says
        return False
    return True
