"""The examples of the docs print what they say. On AWS, they find the secret that the docs tell of."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest
from cloud import store_secret

from jobs import extract_table, load_table

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    block
    for page in ("database.md", "extract.md")
    for block in re.findall(r"^```console\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
]
PROGRAMS = {"load_table.py": load_table.main, "extract_table.py": extract_table.main}


SECRET = '{"username": "loader", "password": "secret", "host": "db.example.com", "port": 5432, "dbname": "shop"}'


def test_the_docs_have_examples() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_prints_what_the_docs_say(
    block: str, aws: Mapping[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_secret(aws, "shop/loader", SECRET)
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = step.partition("\n")
        words = shlex.split(command)
        if words[0] == "cat":  # the example shows a file: it is made
            path = Path(words[1].replace("~", str(tmp_path)))
            path.write_text(printed)
            path.chmod(0o600)
            continue
        [program] = PROGRAMS.keys() & set(words)
        place = words.index(program)
        environ = dict(word.split("=", 1) for word in words[:place])
        PROGRAMS[program](words[place + 1 :], {"HOME": str(tmp_path), **environ})
        shown = capsys.readouterr()
        assert shown.out + shown.err == printed
