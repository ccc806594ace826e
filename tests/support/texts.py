"""Texts to try: any, and those that mean something to COPY, to arrays or to JSON."""

from __future__ import annotations

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
AWKWARD = st.sampled_from(
    [
        "",
        "\\N",
        "\\",
        "\\.",
        "\t",
        "\n",
        "\r\n",
        "\b\f\v",
        "NULL",
        "null",
        '"',
        "{}",
        "{,}",
        "!",
        "\\\\N",
        "\\n",
        "🎈",
        "é",
        "'",
        "\x7f",
        "a\\",
    ]
)
STRINGS = TEXT | AWKWARD
