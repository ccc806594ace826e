"""Targets: names, orders, options and filters of a command line. None of them can inject SQL."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from hypothesis import strategies as st
from pg8000.dbapi import convert_paramstyle

from fuzz import texts
from fuzz.connections import VALUES, refused
from fuzz.target import Target
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract import partitioning
from jobs.dbaccess.extract.partitioning import Leaf
from jobs.dbaccess.load import ledger
from jobs.dbaccess.load.move.by_keys.merge_statements import Merge
from jobs.dbaccess.load.move.by_keys.upsert import Upsert
from jobs.dbaccess.load.move.by_keys.versions import Versions
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import MODES, Move
from jobs.dbaccess.load.move.order import parse_order
from jobs.dbaccess.load.move.overwrite import replacing
from jobs.dbaccess.query.script import split
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows import file_options
from jobs.pgcopy.options import NAMES, Options

NAMES_TO_QUOTE = texts.of("name", "Name", "a b", size=4)
_IDENTIFIER = re.compile(r'"(?:[^"\0]|"")+"')
"""https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS"""


def quoted(name: str) -> None:
    """A quoted name is one token of SQL, stands for itself, and is unchanged in a statement with bound values."""
    text = refused(lambda: quote_name(name))
    if text is None:
        return
    assert _IDENTIFIER.fullmatch(text)
    assert text[1:-1].replace('""', '"') == name
    statement = f"SELECT {text}, %s FROM {text} AS x WHERE {text} = %s"
    converted, _ = convert_paramstyle("format", statement, ("a", "b"))
    assert converted == f"SELECT {text}, $1 FROM {text} AS x WHERE {text} = $2"


def table_name(text: str) -> None:
    """A table's name is parsed back from its text form, and its parts are tokens."""
    table = refused(lambda: TableName.parse(text))
    if table is not None:
        assert TableName.parse(str(table)) == table
        whole = refused(lambda: table.quoted)
        assert whole is None or re.fullmatch(rf"{_IDENTIFIER.pattern}(\.{_IDENTIFIER.pattern})?", whole)


def order(text: str) -> None:
    """An order consists only of columns with their directions."""
    columns = refused(lambda: parse_order(text))
    if columns is not None:
        written = refused(lambda: ", ".join(column.quoted for column in columns))
        assert written is None or parse_order(written) == columns


def statements(value: tuple[str, list[str], list[str], str]) -> None:
    """The statements of a load, without their quoted names, contain nothing from a name."""
    mode, columns, keys, target = value
    move = Move(mode, tuple(columns), tuple(keys))
    table = TableName(target, target)
    made = refused(lambda: _statements(move, table))
    plain_names = {name: str(place) for place, name in enumerate([*columns, *keys])}
    plain = Move(mode, tuple(plain_names[name] for name in columns), tuple(plain_names[name] for name in keys))
    if made is not None:
        assert made == _statements(plain, TableName("c", "c"))


def _statements(move: Move, target: TableName) -> list[str]:
    """Return the statements of a load, with every name in quotes replaced by the same one."""
    staged = TableName("staged")
    made = [move.insert(target, staged), *replacing(move, target, staged, at_once=True)]
    if move.keys:
        equalities = dict.fromkeys(move.keys, "=")
        upsert = Upsert(replace(move, mode="upsert"), target, staged, equalities)
        deleting = replace(move, mode="upsert", changes=Changes(delete_missing=True))
        made += Merge(deleting, target, staged, equalities).statements()
        made += Versions(replace(deleting, mode="history"), target, staged, equalities).statements()
        made += [upsert.insert("true"), upsert.insert_changed("true"), upsert.matching(), upsert.sample(1.0)]
    return [_IDENTIFIER.sub('"n"', statement) for statement in made]


def load_id(text: str) -> None:
    """An id that is accepted can be bound."""
    try:
        ledger.check_id(text, "--load-id")
    except UsageError:
        return
    assert "\0" not in text
    text.encode()


def options_of_files(value: tuple[list[str], str]) -> None:
    """`--option K=V`."""
    stated, file_format = value
    found = refused(lambda: file_options.parse_options(stated, file_format))
    if found is not None:
        refused(lambda: (file_options.to_read(file_format, found), file_options.to_write(file_format, found)))


def pgcopy(given: dict[str, str]) -> None:
    """Options of pgcopy: each value is parsed as what it says, or refused."""
    options = refused(lambda: Options.parse(given))
    if options is None:
        return
    number = refused(lambda: options.number("parallelism"))
    assert number is None or number > 0
    snapshots = refused(options.snapshots)
    assert snapshots is None or not math.isnan(snapshots[1])
    settings = refused(lambda: options.settings({"HOME": "/nonexistent"}))
    assert settings is None or settings.timeouts.deadline >= 0
    for read in (
        options.wanted,
        options.table,
        lambda: options.identity("loadId"),
        lambda: options.move(overwrite=False),
    ):
        refused(read)


def cut(value: tuple[list[int], int]) -> None:
    """Parts by blocks contain each block of each leaf once."""
    sizes, parts = value
    leaves = [Leaf(TableName(f"t{place}"), blocks) for place, blocks in enumerate(sizes)]
    ranges: dict[str, list[tuple[int, float]]] = {}
    for piece in (piece for part in partitioning.by_blocks(leaves, parts) for piece in part):
        start = re.search(r">=\) '\((\d+),0\)'", piece.condition)
        end = re.search(r"<\) '\((\d+),0\)'", piece.condition)
        bounds = (int(start[1]) if start else 0, int(end[1]) if end else math.inf)
        ranges.setdefault(piece.relation, []).append(bounds)
    assert sorted(ranges) == sorted(f"ONLY {leaf.name.quoted}" for leaf in leaves)
    for pieces in ranges.values():
        starts, ends = zip(*sorted(pieces))
        assert (starts[0], ends[-1]) == (0, math.inf)
        assert starts[1:] == ends[:-1]


COLUMNS = st.lists(NAMES_TO_QUOTE, min_size=1, max_size=3)
PAIRS = texts.of("header=true", "mode=", "PERMISSIVE", "sep=", "=", "schema=", "inferSchema", "a.b=c", size=4)
OPTION_VALUES = VALUES | texts.of("1", "true", "inf", "upsert", "a desc", "dataframe", "table", size=3)
OPTION_NAMES = sorted({*NAMES.values()} - {"secretId", "ssmParameter", "iamAuth", "awsRegion"})
"""Without those that call AWS."""

NUMBERS = texts.mapping(["parallelism", "snapshotIdle", "connectDeadline"], texts.of("1", "inf", size=2)).map(
    lambda numbers: {"dbname": "d", "user": "u", **numbers}
)

SCRIPTS = texts.of(
    *(
        "SELECT 1",
        ";",
        " ",
        "\n",
        "'",
        "E'",
        "\\",
        '"',
        "$$",
        "$a$",
        "--",
        "/*",
        "*/",
        "(",
        ")",
        ":day",
        "::",
        "[1:day]",
    ),
    *("CREATE FUNCTION f() RETURNS int ", "BEGIN ATOMIC ", "CASE", " END", "AS x", ","),
    size=12,
)


def script(text: str) -> None:
    """A script is split into statements that are not split again, or it is refused. Values change nothing of that."""
    statements = refused(lambda: split(text)) or []
    for statement in statements:
        assert [one.text for one in split(statement.text)] == [statement.text]
    with_values = refused(lambda: split(text, ("day",)))
    if with_values is not None:
        assert [one.line for one in with_values] == [one.line for one in statements]
        assert {name for one in with_values for name in one.names} == {"day"}


TARGETS = [
    Target("script", SCRIPTS, script),
    Target("quoted_name", NAMES_TO_QUOTE, quoted),
    Target("table_name", texts.of("schema", ".", '"', "table", size=6), table_name),
    Target("order", texts.of("a", " desc", " nulls last", ", ", '"a b"', " asc", size=8), order),
    Target("statements", st.tuples(st.sampled_from(MODES), COLUMNS, COLUMNS, NAMES_TO_QUOTE), statements),
    Target("load_id", texts.of("id", "x" * 2000, size=3), load_id),
    Target(
        "file_options",
        st.tuples(st.lists(PAIRS, max_size=3), st.sampled_from(["csv", "json", "parquet", "orc"])),
        options_of_files,
    ),
    Target("pgcopy_options", texts.mapping(OPTION_NAMES, OPTION_VALUES) | NUMBERS, pgcopy),
    Target("parts", st.tuples(st.lists(st.integers(0, 1000), min_size=1, max_size=5), st.integers(1, 40)), cut),
]
