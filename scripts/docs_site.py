"""What `make docs` does beyond MkDocs: the repository's other pages and files become part of the site.

MkDocs knows only the folder docs/. README.md is the home page, and other pages of the top folder are pages, too. A
file that a page links to, such as infra/template.yaml, is copied, so that the link works wherever the site is. Links
are written for readers of the repository, and changed to what is on the site. A link to a missing file fails the build.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Pages of the top folder: their names in the repository, and on the site."""

LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
"""The path of a link or picture, without its anchor."""

NAMED = re.compile(r"\[(?:docs/)?([\w-]+\.md)\]\(")
"""A link whose text is the file name of a page."""


def site_path(path: str) -> str:
    """Return where a file of the repository is on the site: docs/load.md is load.md."""
    return PAGES.get(path) or path.removeprefix("docs/")


def repository_path(page: str) -> str:
    """Return where a page of the site is in the repository."""
    return next((path for path, name in PAGES.items() if name == page), f"docs/{page}")


def linked(page: str, link: str) -> str:
    """Return the file of the repository that a link leads to. Both paths are relative to the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def with_links(markdown: str, page: str) -> str:
    """Return a page's text with its links as they are on the site.

    Args:
        markdown: Its text in the repository.
        page: Its path in the repository.
    """
    folder = posixpath.dirname(site_path(page)) or "."
    return LINK.sub(lambda match: posixpath.relpath(site_path(linked(page, match[1])), folder), markdown)


def with_titles(markdown: str, titles: Mapping[str, str]) -> str:
    """Return a page's text with titles in place of file names, in links whose text is the name of a page.

    Args:
        markdown: Its text on the site.
        titles: The title of each page, by its file name without folders.
    """
    return NAMED.sub(lambda match: f"[{titles.get(match[1], match[1])}](", markdown)


def title(markdown: str) -> str:
    """Return the text of a page's first heading."""
    heading = re.search(r"^# (.+)$", markdown, re.MULTILINE)
    return heading[1] if heading else ""


def files_outside(markdown: str, page: str) -> set[str]:
    """Return the files outside of docs/ that a page links to, without pages of the site."""
    targets = {linked(page, link) for link in LINK.findall(markdown)}
    return {path for path in targets if not path.startswith(("docs/", "../")) and path not in PAGES}


def missing(paths: Collection[str], root: Path) -> list[str]:
    """Return the paths that are no files of the repository."""
    return sorted(path for path in paths if not (root / path).is_file())


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the other pages, and what pages link to. MkDocs calls this, and warns of links that lead nowhere."""
    from mkdocs.structure.files import File

    for path, name in PAGES.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    pages = [repository_path(file.src_uri) for file in files.documentation_pages()]
    outside = {path for page in pages for path in files_outside((ROOT / page).read_text(encoding="utf-8"), page)}
    for path in sorted(outside.difference(missing(outside, ROOT))):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Change the links of a page to those of the site. MkDocs calls this."""
    titles = {
        path.name: title(path.read_text(encoding="utf-8")) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    }
    return with_titles(with_links(markdown, repository_path(page.file.src_uri)), titles)
