"""The site of docs/: nothing is left out of it, and its links are right. The rest is what `make docs` fails for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import jobs
from docs_site import PAGES, files_outside, missing, site_path, title, with_links, with_titles
from jobs.pgcopy.options import NAMES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = re.findall(r"^ +- [^:]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert sorted(navigation) == sorted([*pages, *PAGES.values()])


def test_every_public_name_of_jobs_has_its_reference() -> None:
    text = (DOCS / "reference" / "jobs.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: jobs\.(?:\w+\.)*(\w+)$", text, re.MULTILINE)) == sorted(jobs.__all__)


def test_every_option_of_pgcopy_has_its_reference() -> None:
    lines = re.findall(r"^\| (`.+?) \|", (DOCS / "reference" / "pgcopy.md").read_text(encoding="utf-8"), re.MULTILINE)
    described = {name for line in lines for name in re.findall(r"`(\w+)`", line)}
    assert described == set(NAMES.values()) - {"path", "checkpointLocation", "queryName"}  # those are Spark's own


@pytest.mark.parametrize(
    ("page", "link", "changed"),
    [
        ("README.md", "docs/load.md#modes", "load.md#modes"),
        ("README.md", "CHANGELOG.md", "changelog.md"),
        ("README.md", "docs/assets/demo.svg", "assets/demo.svg"),
        ("docs/load.md", "extract.md", "extract.md"),
        ("docs/load.md", "#modes", "#modes"),
        ("docs/load.md", "../README.md#install", "index.md#install"),
        ("docs/load.md", "../infra/template.yaml", "infra/template.yaml"),
        ("docs/reference/jobs.md", "../load.md", "../load.md"),
        ("docs/reference/jobs.md", "../../SECURITY.md", "../security.md"),
        ("docs/load.md", "https://example.com/a.md", "https://example.com/a.md"),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site(page: str, link: str, changed: str) -> None:
    assert with_links(f"see [it]({link}).", page) == f"see [it]({changed})."


def test_a_link_that_shows_a_file_name_shows_the_pages_title() -> None:
    titles = {"load.md": title("\n# Loading\n\n## Modes\n")}
    text = "[docs/load.md](load.md#modes), [load.md](load.md), [the modes](load.md), [other.md](other.md)"
    assert with_titles(text, titles) == (
        "[Loading](load.md#modes), [Loading](load.md), [the modes](load.md), [other.md](other.md)"
    )


def test_files_that_pages_link_to_are_found() -> None:
    text = "[a](load.md) [b](../infra/template.yaml) [c](../README.md) [d](../nowhere.yaml) [e](../../outside)"
    outside = files_outside(text, "docs/emr-serverless.md")
    assert outside == {"infra/template.yaml", "nowhere.yaml"}
    assert missing(outside, ROOT) == ["nowhere.yaml"]


def test_pages_of_the_top_folder_exist() -> None:
    assert not missing(PAGES, ROOT)
    assert site_path("docs/reference/jobs.md") == "reference/jobs.md"
