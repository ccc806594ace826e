"""The manifest of a release: its tables, each with the flags of load_table.py under their names. It is TOML or JSON.

Each table's values become words of a command line, which is parsed as that of load_table.py is. So they are judged as
flags are, and a flag that load_table.py gets can be in a manifest, too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NoReturn

from jobs.cli.load_flags import add_load_options
from jobs.cli.load_of import OF_FILES, check_options
from jobs.dbaccess.errors import UsageError
from jobs.flows.sql_file import read_text

OF_RELEASE = (
    *("load-id", "marker-table", "wait-for-load", "lock-timeout"),
    *("parallelism", "max-replica-lag", "max-wal-rate", "show-values"),
)
"""Flags of load_release.py, which are the same for all tables."""

_TABLES, _QUERY, _SOURCE_TABLE = "tables", "query", "source-table"


@dataclass(frozen=True)
class Entry:
    """A table of a manifest.

    Attributes:
        options: As load_table.py parses them.
        query: SQL for Spark, in place of files; empty for files.
    """

    options: argparse.Namespace
    query: str = ""


def read_manifest(path: str, environ: Mapping[str, str], release: argparse.Namespace) -> tuple[Entry, ...]:
    """Read a manifest from a file, also on s3://.

    Args:
        path: Of the file.
        environ: The environment, for the AWS region.
        release: The options of the release, which apply to each table.

    Raises:
        UsageError: The file cannot be read, or is no manifest.
        JobError: AWS did not return it.
    """
    return parse_manifest(read_text(path, environ, "--manifest", "manifest"), release)


def parse_manifest(text: str, release: argparse.Namespace) -> tuple[Entry, ...]:
    """Return the tables of a manifest. What is beside them applies to each table that does not say something else.

    Raises:
        UsageError: The text is no manifest, or a value cannot be right. The message names the table.
    """
    document = _named_as_flags(_document(text), "The manifest")
    tables = document.pop(_TABLES, None)
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UsageError(
            "The manifest has no tables.", "Write [[tables]] for each of them, with table, source and mode."
        )
    return tuple(_entry(document, table, number, release) for number, table in enumerate(tables, 1))


def _document(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return _from_toml(text)
    try:
        document: dict[str, Any] = json.loads(text, object_pairs_hook=_each_once)
    except ValueError as error:
        raise UsageError(f"The manifest begins like JSON, but is not valid JSON: {error}.", "Correct it.") from None
    return document


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Of two members of one name, Python would take the last, and TOML refuses them."""
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"The manifest has {twice!r} twice in one object.", "Keep one of them.")
    return found


def _from_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML document. Python can read it since 3.11; for older ones, the archive has tomli.

    Raises:
        UsageError: It is none, or this Python cannot read it.
    """
    try:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
    except ModuleNotFoundError:
        raise UsageError(
            f"This Python, {sys.version_info[0]}.{sys.version_info[1]}, cannot read TOML.",
            "Write the manifest as JSON, with the same names, or install tomli, which archives of pgjobs contain.",
        ) from None
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise UsageError(f"The manifest is not valid TOML: {error}.", "Correct it, or write JSON.") from None


def _named_as_flags(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return values by the names of their flags: `overwrite_where` may stand for `overwrite-where`.

    Raises:
        UsageError: A name occurs in both forms.
    """
    named = {name.replace("_", "-"): value for name, value in given.items()}
    if len(named) < len(given):
        both = sorted(set(given) - {name for name in named if name in given})
        raise UsageError(f"{where} has {both[0]} twice, with - and with _.", "Keep one of them.")
    return named


def _entry(shared: Mapping[str, Any], table: Mapping[str, Any], number: int, release: argparse.Namespace) -> Entry:
    where = f"Table {table.get('table', number)} of the manifest"
    own = _named_as_flags(table, where)
    with _told_of(where):
        of_files = OF_FILES if _SOURCE_TABLE in own else ()  # a format for all tables is for those that files have
        values = {**{name: value for name, value in shared.items() if name not in of_files}, **own}
        query = values.pop(_QUERY, None)
        words = [word for name, value in values.items() for word in _words(name, value)]
        options = _parser().parse_args(words)
        vars(options).update({name.replace("-", "_"): getattr(release, name.replace("-", "_")) for name in OF_RELEASE})
        _check_source(options, query, own)
        check_options(options)
    return Entry(options, query or "")


@contextmanager
def _told_of(where: str) -> Iterator[None]:
    """Say in a message which table it is about."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from None


class _Parser(argparse.ArgumentParser):
    """Raises its errors, where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}.".replace("argument --", "").replace("..", "."), "Correct the manifest.")


@lru_cache(maxsize=1)
def _parser() -> argparse.ArgumentParser:
    """Return the parser of the flags of a load."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    add_load_options(parser)
    return parser


def _words(name: str, value: object) -> list[str]:
    """Return a value as words of a command line.

    Raises:
        UsageError: There is no flag of this name, or it has no such values.
    """
    action, flag = _action(name), f"--{name}"
    if action.nargs == 0 or (action.nargs == "?" and isinstance(value, bool)):
        if not isinstance(value, bool):
            raise UsageError(f"{name} is {value!r}.", "Write true or false.")
        opposite = f"--no-{name}"
        return [flag] if value else [opposite] if opposite in action.option_strings else []
    texts = _texts(name, value, action)
    if action.nargs == "+":
        hyphened = [text for text in texts if text.startswith("-")]
        if hyphened:
            raise UsageError(f"{name} has {hyphened[0]!r}, which begins with a hyphen.", "Write ./ before a path.")
        return [flag, *texts]
    return [f"{flag}={text}" for text in (texts if _repeats(action) else [",".join(texts)])]


def _texts(name: str, value: object, action: argparse.Action) -> list[str]:
    """Return a value as texts: those of a list, and K=V for each member of a table.

    Raises:
        UsageError: The flag takes no such value.
    """
    is_list_of_names = "," in (action.metavar or "")
    if isinstance(value, dict):
        if "=" not in (action.metavar or ""):
            raise UsageError(f"{name} is a table, but takes one value.", "Write a text, or leave it out.")
        return [f"{key}={_text(key, one, switches=True)}" for key, one in value.items()]
    if not isinstance(value, list):
        return [_text(name, value)]
    if not (is_list_of_names or _repeats(action) or action.nargs == "+"):
        raise UsageError(f"{name} is a list, but takes one value.", "Write the value without brackets.")
    texts = [_text(name, one) for one in value]
    with_comma = [text for text in texts if "," in text]
    if is_list_of_names and with_comma:
        raise UsageError(f"{name} has {with_comma[0]!r}, and a comma ends a name.", "Write each name by itself.")
    if not texts:
        raise UsageError(f"{name} is an empty list.", "Leave it out.")
    return texts


def _repeats(action: argparse.Action) -> bool:
    """Return whether a flag may occur several times."""
    return isinstance(action.default, list)


def _text(name: str, value: object, *, switches: bool = False) -> str:
    """Return a value as a word.

    Raises:
        UsageError: It is none that a flag takes.
    """
    if isinstance(value, bool):
        if switches:
            return str(value).lower()
    elif isinstance(value, (str, int, float)):
        return str(value)
    elif isinstance(value, (date, time)):  # a datetime is a date, too
        return value.isoformat()
    raise UsageError(f"{name} is {value!r}.", "Write a text, a number, or a list of texts.")


def _action(name: str) -> argparse.Action:
    """Return the flag of a name.

    Raises:
        UsageError: There is none, or it is one of the release, or goes with no release.
    """
    actions = {
        option[2:]: action
        for action in _parser()._actions  # noqa: SLF001 - argparse has no public access
        for option in action.option_strings
        if not option.startswith("--no-")  # the opposite of a switch
    }
    if name in OF_RELEASE:
        raise UsageError(f"{name} is the same for all tables.", f"Give --{name} to load_release.py.")
    if name not in actions:
        known = [*(other for other in actions if other not in OF_RELEASE), _QUERY]
        near = get_close_matches(name, known, n=1)
        raise UsageError(
            f"There is no {name!r}.", f"Did you mean {near[0]}?" if near else f"There are {', '.join(sorted(known))}."
        )
    return actions[name]


def _check_source(options: argparse.Namespace, query: object, own: Mapping[str, Any]) -> None:
    """Check that the table and its rows are named.

    Raises:
        UsageError: They are not.
    """
    if options.table is None:
        raise UsageError("It has no name.", 'Write table = "schema.table".')
    if query is not None and (not isinstance(query, str) or not query.strip()):
        raise UsageError("query is not SQL.", 'Write query = "SELECT ...", for Spark.')
    if (options.source is None and options.source_table is None) == (query is None):
        raise UsageError(
            "Its rows come from files, from a table or from a query.",
            "Give one of source, source-table and query.",
        )
    if options.changes_since_ledger is not None:
        raise UsageError(
            "A release has no changes-since-ledger: each table has a position of its own.",
            f"Leave it out, or load {options.table} by load_table.py.",
        )
    given = [name for name in (*OF_FILES, "select") if name in own]
    if query is not None and given:
        raise UsageError(f"{', '.join(given)}: these are for files, and its rows come from a query.", "Leave it out.")
