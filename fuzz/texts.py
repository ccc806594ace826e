"""Texts to try: any text, and text with a meaning in SQL, URIs, libpq's files and COPY."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

ANY = st.text(max_size=60)
"""With NUL and lone surrogates: a command line may contain both."""

PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
"""What PostgreSQL's text may contain."""

TRICKS = (
    *(
        "'",
        '"',
        "\\",
        "\\'",
        '""',
        "''",
        "--",
        "/*",
        "*/",
        ";",
        "$1",
        "%s",
        "%%",
        "%",
        ":name",
        "{}",
        "{0}",
        "$$",
        "$a$",
    ),
    *("E'", 'U&"', "\n", "\r", "\t", "\0", "\x7f", "\ud800", "\U0001f388"),
    *("\u202e", "\ufeff", "\u0430", "\uff02", "\u2019"),  # letters that resemble others, or are invisible
    *("\\.", "\\N", "\\x", "NULL", "null", "?", "@", ":", "/", "#", "&", "=", "[", "]", "(", ")", ",", ".", " ", "*"),
    *(") OR (1=1", "; DROP TABLE t; --", "x" * 64, "\u00e9" * 32, "0", "9" * 5000, "\u00b2", "-1", "1e9", "nan"),
)


def of(*words: str, size: int = 12) -> st.SearchStrategy[str]:
    """Return texts composed of these words, of tricky ones, and of anything."""
    pieces = st.sampled_from([*words, *words, *TRICKS]) | st.text(max_size=3)
    return st.lists(pieces, max_size=size).map("".join)


def mapping(keys: Sequence[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Return some of these keys, each with a value."""
    return st.dictionaries(st.sampled_from(keys), values, max_size=6)
