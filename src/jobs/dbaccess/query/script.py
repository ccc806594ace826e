"""Splits a script into statements, and replaces `:name` by the place of a bound value.

The server takes one statement at a time together with values, so that the split follows the rules by which psql does
it: a semicolon ends a statement outside of quotes, comments, parentheses and the body of a function (BEGIN ATOMIC).
https://www.postgresql.org/docs/current/sql-syntax-lexical.html
https://github.com/postgres/postgres/blob/master/src/fe_utils/psqlscan.l
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from jobs.dbaccess.errors import UsageError

_TOKEN = re.compile(
    r"""
      (?P<blank> \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<string> [eE]'(?:[^'\\]|\\.|'')*'(?:\s*\n\s*'(?:[^'\\]|\\.|'')*')* | '(?:[^']|'')*' )
    | (?P<quoted> "(?:[^"]|"")*" )
    | (?P<dollar> \$(?:[^\W\d]\w*)?\$ )
    | (?P<number> \$\d+ )
    | (?P<sign> :: | := )
    | (?P<place> :[^\W\d]\w* )
    | (?P<word> [^\W\d][\w$]* )
    | (?P<digits> \d\w* )
    | (?P<end> ; )
    | (?P<open> [(\[] )
    | (?P<close> [)\]] )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)

_COMMENT_EDGE = re.compile(r"/\*|\*/")

_TWO_WORDS = frozenset({"alter", "create", "delete", "drop", "insert", "prepare", "refresh", "start"})
"""These say little without the word that follows."""

_ENDS_TRANSACTION = frozenset({"begin", "start", "commit", "end", "rollback", "abort"})


@dataclass(frozen=True)
class Statement:
    """One statement of a script.

    Attributes:
        text: SQL with $1, $2, ... in the places of values.
        names: Of the values, in this order.
        line: Where it begins in the script, from 1.
        words: Its words outside of quotes, in lower case.
        without_value: Each `:name` in it that no value was given for.
    """

    text: str
    names: tuple[str, ...]
    line: int
    words: tuple[str, ...]
    without_value: tuple[str, ...] = ()

    @property
    def ends_transaction(self) -> bool:
        """Whether it begins or ends a transaction. ROLLBACK TO a savepoint does not."""
        if not self.words or self.words[0] not in _ENDS_TRANSACTION:
            return self.words[:2] == ("prepare", "transaction")
        return not (self.words[0] == "rollback" and "to" in self.words[1:3])

    @property
    def copies(self) -> bool:
        """Whether it is a COPY from or to the client."""
        return self.words[:1] == ("copy",) and not {"stdin", "stdout"}.isdisjoint(self.words)

    def __str__(self) -> str:
        shown = 2 if self.words[:1] and self.words[0] in _TWO_WORDS else 1
        return " ".join(self.words[:shown]).upper() or "statement"


def split(script: str, names: Collection[str] = ()) -> list[Statement]:
    """Split a script into its statements. Those that contain only blanks and comments are left out.

    Args:
        script: SQL. `:name` stands for a value, outside of quotes and comments.
        names: The names that have values. Any other `:name` is left as it is, such as in `numbers[1:n]`.

    Raises:
        UsageError: A quote, comment or parenthesis is not closed; a name has no place; or the script contains $1.
    """
    statements = list(_statements(script, frozenset(names)))
    unused = sorted(set(names) - {name for statement in statements for name in statement.names})
    if unused:
        raise UsageError(
            f"The SQL has no place for {', '.join(f':{name}' for name in unused)}.",
            "Write :name, outside of quotes, where a value is to stand.",
        )
    return statements


def is_one_item(sql: str) -> bool:
    """Return whether SQL is one item of a list in parentheses: no comma, semicolon or parenthesis in it ends the item.

    Raises:
        UsageError: A quote or comment is not closed.
    """
    depth = 0
    for kind, text, _ in _tokens(sql):
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if depth < 0 or kind == "end" or (text == "," and not depth):
            return False
    return not depth


def names(sql: str) -> set[str]:
    """Return the words of SQL outside of strings and comments, among them all names. Unquoted ones are in lower case.

    Raises:
        UsageError: A quote or comment is not closed.
    """
    return {
        text[1:-1].replace('""', '"') if kind == "quoted" else text.lower()
        for kind, text, _ in _tokens(sql)
        if kind in ("quoted", "word")
    }


_HEAD_WORDS = 4
"""CREATE OR REPLACE FUNCTION is the longest."""


@dataclass
class _Building:
    """The statement that is being read."""

    line: int = 0
    pieces: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    without_value: list[str] = field(default_factory=list)
    parentheses: int = 0
    bodies: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.line

    @property
    def is_open(self) -> bool:
        """Whether a semicolon belongs to the statement."""
        return self.parentheses > 0 or self.bodies > 0

    def place(self, name: str) -> str:
        """Return the place of a value, which a statement may use repeatedly."""
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}"

    def note(self, word: str) -> None:
        """Note a word, which may begin or end a function's body. In a body, CASE is closed by END, too."""
        self.words.append(word)
        creates = self.words[0] == "create" and not {"function", "procedure"}.isdisjoint(self.words[:_HEAD_WORDS])
        if creates and (word == "begin" or (word == "case" and self.bodies)):
            self.bodies += 1
        elif word == "end" and self.bodies:
            self.bodies -= 1

    def statement(self) -> Statement:
        text = "".join(self.pieces).strip()
        return Statement(text, tuple(self.names), self.line, tuple(self.words), tuple(self.without_value))


def _statements(script: str, names: frozenset[str]) -> Iterator[Statement]:
    building = _Building()
    for kind, text, position in _tokens(script):
        line = script.count("\n", 0, position) + 1 if building.is_empty and kind != "blank" else building.line
        if kind == "end" and not building.is_open:
            if not building.is_empty:
                yield building.statement()
            building = _Building()
            continue
        building.line = line
        building.pieces.append(_piece(building, kind, text, names))
    if building.parentheses > 0:
        raise UsageError(f"A parenthesis is not closed in the statement of line {building.line}.", "Close it.")
    if not building.is_empty:
        yield building.statement()


def _piece(building: _Building, kind: str, text: str, names: frozenset[str]) -> str:
    """Note what a token means, and return its text for the server."""
    if kind == "place" and text[1:] in names:
        return building.place(text[1:])
    if kind == "place":
        building.without_value.append(text[1:])
    if kind == "number":
        raise UsageError(f"{text} stands for no value.", "Name it: write :name, and give --param name=value.")
    if kind == "word":
        building.note(text.lower())
    building.parentheses += {"open": 1, "close": -1}.get(kind, 0)
    return text


def _tokens(script: str) -> Iterator[tuple[str, str, int]]:
    """Yield kind, text and position of each token. Comments are blanks.

    Raises:
        UsageError: A quote or comment is not closed.
    """
    position = 0
    while position < len(script):
        found = _TOKEN.match(script, position)
        assert found is not None and found.lastgroup is not None  # noqa: PT018, S101 - `other` matches any character
        kind, end = found.lastgroup, found.end()
        if kind == "comment":
            kind, end = "blank", _end_of_comment(script, position)
        elif kind == "dollar":
            kind, end = "string", _end_of_dollar_quote(script, end, found.group())
        if not end or (kind == "other" and found.group() in "'\""):
            raise UsageError(
                f"A quote or comment is not closed: it begins in line {script.count(chr(10), 0, position) + 1}.",
                "Close it.",
            )
        yield kind, script[position:end], position
        position = end


def after_with(statement: str) -> int:
    """Return where a statement begins after its WITH clause; 0 if it has none, or if that is in parentheses."""
    depth = 0
    first = True
    for kind, text, position in _tokens(statement):
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if kind == "word" and depth == 0:
            if first and text.lower() != "with":
                return 0
            if not first and text.lower() in _AFTER_WITH:
                return position
            first = False
    return 0


_AFTER_WITH = frozenset({"select", "values", "table", "insert", "update", "delete", "merge"})


def _end_of_dollar_quote(script: str, position: int, tag: str) -> int:
    """Return where a dollar-quoted string ends; 0 if it does not."""
    start = script.find(tag, position)
    return start + len(tag) if start >= 0 else 0


def _end_of_comment(script: str, position: int) -> int:
    """Return where a comment ends, in which others may be nested; 0 if it does not."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(script, position):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    return 0
