"""The examples of the docs print what they say, with the secret that they describe. All links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest
from cloud import store_secret

from jobs import extract_table, load_table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md"))]
BLOCKS = [
    block
    for page in ("connecting.md", "extract.md")
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


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if path.startswith("https:"):
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target
