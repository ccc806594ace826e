"""A history: what is valid when, against a model in Python, whatever comes late or again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publishing import AB, T, load

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, LoadError, UsageError
from jobs.dbaccess.load.move.by_keys import history
from jobs.dbaccess.load.move.changes import Changes, History
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

OP = ("op", "text")
TABLE = (
    "CREATE TABLE t (a int, b text, valid_from timestamptz, valid_to timestamptz, is_current boolean NOT NULL, "
    "PRIMARY KEY (a, valid_from)); CREATE UNIQUE INDEX one_current ON t (a) WHERE is_current"
)


def at(day: int, *, missing: bool = False, op: bool = False, share: float | None = 1.0) -> Move:
    """A load of what is valid from a day of January on."""
    changes = Changes(delete_when="op = 'D'" if op else None, delete_missing=missing)
    past = History(as_of=f"2026-01-{day:02}T00:00:00Z")
    extras = (OP,) if op else ()
    return Move("history", AB, ("a",), changes=changes, history=past, staged_only=extras, max_delete_share=share)


BY_COLUMN = Move(
    "history",
    AB,
    ("a",),
    changes=Changes(delete_when="op = 'D'"),
    history=History(as_of="day", as_of_column="day"),
    staged_only=(OP, ("day", "timestamptz")),
)


@pytest.fixture
def table(session: Session) -> Session:
    for statement in TABLE.split("; "):
        session.run(statement)
    return session


def versions(session: Session) -> list[list[object]]:
    day = "extract(day FROM {} AT TIME ZONE 'UTC')::int"
    return session.run(
        f"SELECT a, b, {day.format('valid_from')}, {day.format('valid_to')}, is_current FROM t ORDER BY a, valid_from"
    )


def written(published: Published) -> tuple[int, int, int, int]:
    return published.inserted, published.updated, published.unchanged, published.ignored


Value = Optional[str]
GONE = "gone"
"""In the model: from then on, there is no row."""


class Model:
    """Of each key, what is valid from which day on. Equal neighbours are one."""

    def __init__(self) -> None:
        self.times: dict[int, dict[int, Value]] = {}

    def tell(self, told: Mapping[tuple[int, int], Value]) -> None:
        for (key, day), value in told.items():
            self.times.setdefault(key, {})[day] = value
        for key in {key for key, _ in told}:
            kept: dict[int, Value] = {}
            last: Value = GONE
            for day, value in sorted(self.times[key].items()):
                if value != last:
                    kept[day] = last = value
            self.times[key] = kept

    def snapshot(self, rows: Mapping[int, Value], day: int, *, missing: bool) -> None:
        absent = [key for key in self.times if missing and key not in rows and self.valid(key, day) != GONE]
        self.tell({(key, day): value for key, value in [*rows.items(), *((key, GONE) for key in absent)]})

    def valid(self, key: int, day: int) -> Value:
        return max(((since, value) for since, value in self.times[key].items() if since <= day), default=(0, GONE))[1]

    def versions(self) -> list[list[object]]:
        found: list[list[object]] = []
        for key, times in sorted(self.times.items()):
            days = sorted(times)
            for day, end in zip(days, [*days[1:], None]):
                if times[day] != GONE:
                    found.append([key, times[day], day, end, end is None])
        return found


KEYS, VALUES, DAYS = st.integers(1, 3), st.sampled_from(["x", "y", None]), st.integers(1, 6)
SNAPSHOTS = st.tuples(st.dictionaries(KEYS, VALUES | st.just(GONE), max_size=3), DAYS, st.booleans())
EVENTS = st.dictionaries(st.tuples(KEYS, DAYS), VALUES | st.just(GONE), max_size=5)


def told(key: int, value: Value, *more: object) -> tuple[object, ...]:
    return (key, None, "D", *more) if value == GONE else (key, value, "U", *more)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(loads=st.lists(SNAPSHOTS | EVENTS, min_size=1, max_size=5))
def test_a_history_is_that_of_the_model_whatever_comes_late_or_again(
    table: Session, loads: Sequence[tuple[dict[int, Value], int, bool] | dict[tuple[int, int], Value]]
) -> None:
    """Rows come in any order of time, in whole snapshots or by a column; each load is run twice."""
    table.run("TRUNCATE t")
    model = Model()
    for one in loads:
        if isinstance(one, dict):
            model.tell(one)
            rows = [told(key, value, f"2026-01-{day:02}T00:00:00Z") for (key, day), value in one.items()]
            move = BY_COLUMN
        else:
            model.snapshot(one[0], one[1], missing=one[2])
            rows, move = [told(*row) for row in one[0].items()], at(one[1], missing=one[2], op=True)
        load(table, move, rows)
        assert versions(table) == model.versions()
        again = load(table, move, rows)
        assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
        assert versions(table) == model.versions()


def test_a_change_ends_a_version_and_begins_another_and_what_is_equal_begins_none(table: Session) -> None:
    assert written(load(table, at(1), [(1, "x"), (2, "x"), (3, "x")])) == (3, 0, 0, 0)
    before = table.run("SELECT xmin::text FROM t WHERE a = 1")
    assert written(load(table, at(3, missing=True), [(1, "x"), (2, "y"), (4, "x")])) == (2, 2, 1, 0)
    assert versions(table) == [
        [1, "x", 1, None, True],
        [2, "x", 1, 3, False],
        [2, "y", 3, None, True],
        [3, "x", 1, 3, False],
        [4, "x", 3, None, True],
    ]
    assert table.run("SELECT xmin::text FROM t WHERE a = 1") == before


def test_a_row_that_comes_late_is_put_between_the_versions(table: Session) -> None:
    load(table, at(1), [(1, "x")])
    load(table, at(5), [(1, "z")])
    assert written(load(table, at(3), [(1, "y")])) == (1, 1, 0, 0)
    assert versions(table) == [[1, "x", 1, 3, False], [1, "y", 3, 5, False], [1, "z", 5, None, True]]


def test_versions_that_others_ended_when_they_began_stay_as_they_are(table: Session) -> None:
    """They are valid at no time. Many programs write them, if the value of a day changes twice."""
    table.run("INSERT INTO t VALUES (1, 'w', '2026-01-01Z', '2026-01-01Z', false)")
    table.run("INSERT INTO t VALUES (1, 'x', '2026-01-02Z', NULL, true)")
    load(table, at(5), [(1, "y")])
    assert versions(table) == [[1, "w", 1, 1, False], [1, "x", 2, 5, False], [1, "y", 5, None, True]]
    load(table, at(6, missing=True), [])
    assert versions(table) == [[1, "w", 1, 1, False], [1, "x", 2, 5, False], [1, "y", 5, 6, False]]


def test_a_version_that_a_trigger_leaves_out_is_ignored_and_not_unchanged(table: Session) -> None:
    leaves_out = "BEGIN IF NEW.a = 1 THEN RETURN NULL; END IF; RETURN NEW; END"
    table.run(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS '{leaves_out}'")
    table.run("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()")
    load(table, at(1), [(2, "x")])
    assert written(load(table, at(2), [(1, "x"), (2, "x"), (3, "x")])) == (1, 0, 1, 1)


def test_a_delete_of_what_is_not_there_is_not_remembered_as_the_docs_say(table: Session) -> None:
    load(table, at(3, missing=True, op=True), [(2, None, "D")])
    load(table, at(2), [(1, "x"), (2, "y")])
    assert versions(table) == [[1, "x", 2, None, True], [2, "y", 2, None, True]]


def test_a_load_for_a_time_again_corrects_what_it_said(table: Session) -> None:
    load(table, at(1), [(1, "x"), (2, "x")])
    load(table, at(3), [(1, "y"), (2, "y")])
    assert written(load(table, at(3), [(1, "z"), (2, "x")])) == (0, 2, 1, 0)
    assert versions(table) == [[1, "x", 1, 3, False], [1, "z", 3, None, True], [2, "x", 1, None, True]]


def test_without_a_time_a_load_is_valid_from_its_publish_on(table: Session) -> None:
    move = replace(at(1), history=History())
    load(table, move, [(1, "x")])
    load(table, move, [(1, "y")])
    assert table.run("SELECT b, valid_to IS NULL, is_current, valid_from <= now() FROM t ORDER BY valid_from") == [
        ["x", False, False, True],
        ["y", True, True, True],
    ]


def test_two_loads_at_once_leave_one_current_version_and_no_gap(table: Session, database: Settings) -> None:
    def put(mark: str) -> None:
        with connect(database, "load") as loader:
            load(loader, replace(at(1), history=History()), [(key, mark) for key in range(50)])

    threads = [threading.Thread(target=put, args=(mark,)) for mark in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = "SELECT valid_to, lead(valid_from) OVER (PARTITION BY a ORDER BY valid_from) AS next FROM t"
    broken = "count(*) FILTER (WHERE valid_to IS DISTINCT FROM next)"
    assert table.run(f"SELECT count(*), {broken} FROM ({ends}) AS ends") == [[150, 0]]
    assert table.run("SELECT count(*) FROM t WHERE is_current") == [[50]]


def test_nobody_else_can_make_a_second_current_version(table: Session) -> None:
    load(table, at(1), [(1, "x")])
    with pytest.raises(ConstraintViolated):
        table.run("INSERT INTO t VALUES (1, 'y', now(), NULL, true)")


def test_without_a_share_only_versions_that_the_data_lacks_are_limited(table: Session) -> None:
    move = at(2, missing=True, op=True, share=None)
    assert load(table, move, [(key, "x", "U") for key in range(10)]).inserted == 10
    told: list[tuple[object, ...]] = [(key, None, "D") for key in range(6)]
    with pytest.raises(LoadError, match="would delete 3 of the 10 rows"):
        load(table, replace(move, history=at(3).history), [*told, (6, "x", "U")])
    assert load(table, replace(move, history=at(3).history), [*told, (6, "x", "U"), (7, "x", "U")]).updated == 8


def test_more_versions_than_allowed_are_not_ended(table: Session) -> None:
    load(table, at(1), [(key, "x") for key in range(10)])
    with pytest.raises(LoadError, match=r"would delete 9 of the 10 rows of public\.t"):
        load(table, at(2, missing=True, share=0.5), [(1, "x")])
    with pytest.raises(LoadError, match=r"would delete 10 of the 10 rows of public\.t, because"):
        load(table, at(2, missing=True, share=None), [])
    assert table.value("SELECT count(*) FROM t WHERE is_current") == 10
    assert load(table, at(2, missing=True, share=0.5), [(key, "x") for key in range(5)]).updated == 5


@pytest.mark.parametrize(
    ("move", "rows", "reason"),
    [
        (at(1), [(1, "x"), (1, "y")], r"1 key \(a\) occurs more than once"),
        (BY_COLUMN, [(1, "x", "U", "2026-01-01"), (1, "y", "U", "2026-01-01")], r"1 key \(a, day\) occurs more than"),
        (BY_COLUMN, [(1, "x", "U", None)], "1 row has NULL in 'day'"),
        (at(1), [(None, "x")], "NULL in a key"),
    ],
)
def test_what_is_not_one_row_of_a_key_at_a_time_is_refused(
    table: Session, move: Move, rows: Iterable[tuple[object, ...]], reason: str
) -> None:
    table.run("ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER a DROP NOT NULL")
    with pytest.raises(LoadError, match=reason):
        load(table, move, list(rows))
    assert versions(table) == []


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        ("ALTER TABLE t DROP valid_to", "has no valid_to, which a history needs"),
        ("ALTER TABLE t ALTER valid_to TYPE date", "A history needs two timestamps"),
        ("DROP INDEX one_current", r'CREATE UNIQUE INDEX ON "public"."t" \("a"\) WHERE "is_current"'),
        ("DROP INDEX one_current; CREATE UNIQUE INDEX ON t (a, b) WHERE is_current", "two current versions"),
        ("DROP INDEX one_current; CREATE UNIQUE INDEX ON t (a) WHERE b = 'x'", "two current versions"),
        ("DROP INDEX one_current; ALTER TABLE t ADD EXCLUDE (a WITH =, b WITH =)", "two current versions"),
        ("CREATE TABLE c (a int, b timestamptz, FOREIGN KEY (a, b) REFERENCES t ON DELETE CASCADE)", "rows of c"),
    ],
)
def test_a_table_that_can_hold_no_history_is_refused_before_anything_is_copied(
    table: Session, ddl: str, reason: str
) -> None:
    for statement in ddl.split("; "):
        table.run(statement)
    with pytest.raises((LoadError, UsageError), match=reason):
        check_target(table, T, at(1))


@pytest.mark.parametrize("end", ["infinity", "9999-12-31"])
def test_versions_that_are_current_and_have_an_end_are_refused(table: Session, end: str) -> None:
    """Other programs end a version like this that did not end: none would be current after a load."""
    table.run(f"INSERT INTO t VALUES (1, 'x', '2026-01-01', '{end}', true)")
    with pytest.raises(LoadError, match=r"1 version of public\.t is current .* has an end") as caught:
        load(table, at(5), [(1, "x")])
    table.run(caught.value.hint)
    load(table, at(5), [(1, "y")])
    assert versions(table) == [[1, "x", 1, 5, False], [1, "y", 5, None, True]]


def test_an_exclusion_constraint_serves_too(session: Session) -> None:
    session.run("CREATE TABLE t (a int4range, b text, valid_from date, valid_to date, is_current boolean)")
    session.run("ALTER TABLE t ADD EXCLUDE USING gist (a WITH =, daterange(valid_from, valid_to) WITH &&)")
    check_target(session, T, at(1))
    load(session, at(1), [("[1,2)", "x")])
    load(session, at(2), [("[1,2)", "y")])
    assert session.run("SELECT b, valid_from::text, valid_to::text FROM t ORDER BY 2") == [
        ["x", "2026-01-01", "2026-01-02"],
        ["y", "2026-01-02", None],
    ]


@pytest.mark.parametrize("name", ["weight", "gone", "is_version", "place", "image", "target"])
def test_a_column_may_have_any_name(table: Session, name: str) -> None:
    table.run(f"ALTER TABLE t RENAME b TO {name}")
    latest = Changes(order_by=("seq",))
    move = replace(at(1), columns=("a", name), changes=latest, order=order_of(None, ["seq"]))
    for rows in ([(1, "x", 1), (1, "y", 2)], [(1, "z", 3)]):
        load(table, replace(move, staged_only=(("seq", "int"),)), rows)
    assert table.run(f"SELECT a, {name} FROM t") == [[1, "z"]]


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE UNIQUE INDEX ON t (a) WHERE is_current = true",
        "CREATE UNIQUE INDEX ON t (a) WHERE is_current IS TRUE",
        "CREATE UNIQUE INDEX ON t (a) INCLUDE (b) WHERE valid_to IS NULL",
        "ALTER TABLE t ADD EXCLUDE (a WITH =) WHERE (is_current)",
    ],
)
def test_what_keeps_a_key_from_two_current_versions_may_be_written_differently(table: Session, ddl: str) -> None:
    for statement in ("DROP INDEX one_current", ddl):
        table.run(statement)
    check_target(table, T, at(1))


@pytest.mark.parametrize("type_", ["date", "timestamptz(0)"])
def test_two_rows_of_a_key_at_times_that_the_table_stores_as_one_are_refused(table: Session, type_: str) -> None:
    table.run(f"ALTER TABLE t ALTER valid_from TYPE {type_}, ALTER valid_to TYPE {type_}")
    rows = [(1, name, "U", f"2026-01-01T01:00:00.{digit}Z") for name, digit in (("x", 1), ("y", 2))]
    with pytest.raises(LoadError, match=r"1 key \(a, day\) occurs more than once"):
        load(table, BY_COLUMN, rows)
    for row in rows:  # one after the other, the last one counts
        load(table, BY_COLUMN, [row])
    assert table.run("SELECT b FROM t") == [["y"]]


def test_the_time_of_a_load_is_right_in_each_datestyle_and_time_zone(table: Session) -> None:
    for statement in ("SET TimeZone = 'Asia/Kolkata'", "SET DateStyle = 'SQL, DMY'"):
        table.run(statement)
    load(table, replace(at(1), history=History()), [(1, "x")])
    assert table.value("SELECT abs(extract(epoch FROM clock_timestamp() - valid_from)) < 600 FROM t")


def test_a_load_in_the_hour_that_comes_again_is_refused_where_no_time_zone_is_stored(
    table: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.run("SET TimeZone = 'Europe/Berlin'")
    table.run("ALTER TABLE t ALTER valid_from TYPE timestamp, ALTER valid_to TYPE timestamp")
    now = replace(at(1), history=History())
    for hour, refused in (("01:59:59+02", False), ("02:30:00+02", True), ("02:30:00+01", False), ("02:30:00+02", True)):
        monkeypatch.setattr(history, "_NOW", f"SELECT '2026-10-25T{hour}'")
        with pytest.raises(LoadError, match="comes again within the hour") if refused else nullcontext():
            load(table, now, [(1, hour)])
    table.run("DELETE FROM t; ALTER TABLE t ALTER valid_from TYPE timestamptz, ALTER valid_to TYPE timestamptz")
    assert load(table, now, [(1, "x")]).inserted == 1


def test_what_is_no_time_is_a_usage_error(session: Session) -> None:
    for one in (History(as_of="updated"), History(as_of="a", as_of_column="a")):
        with pytest.raises(
            UsageError, match=f"--as-of '{one.as_of}' is neither a time nor a column of the data with t"
        ):
            history.check_time(session, replace(at(1), history=one), "(SELECT 1 AS a)")
