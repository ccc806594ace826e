"""docs/first-load.md can be run as it is written; `make release-check` does so."""

from __future__ import annotations

import shlex

import pytest

from first_load import PAGE, Step, first_missing, steps_of
from jobs import extract_table, ledger, load_table

JOBS = {"load": load_table.parse, "extract": extract_table.parse, "ledger": ledger.parse}


def test_the_page_begins_with_a_server_and_a_file_and_ends_with_a_load() -> None:
    [server, file, *others] = steps_of(PAGE.read_text(encoding="utf-8"))
    assert server.command.startswith("python -m servermgr.postgres")
    assert file.command == "cat orders.csv"
    assert "--load-id orders/1/copy" in others[-1].command


def test_the_flags_of_the_page_exist() -> None:
    commands = [shlex.split(step.command.replace("\\\n", "")) for step in steps_of(PAGE.read_text(encoding="utf-8"))]
    jobs = [words[1:] for words in commands if words[0] == "pgjobs"]
    assert [name for name, *_ in jobs] == ["load", "load", "ledger", "load", "extract", "load"]
    for name, *words in jobs:
        JOBS[name](words)  # a wrong flag ends the process


def test_commands_and_what_they_print_are_read_from_a_page() -> None:
    page = "```console\n$ pip install x\n$ a \\\n    b\nc 1\n\nd\n$ e\n```\n\n```sh\n$ f\n```\n"
    assert steps_of(page) == [Step("a \\\n    b", ("c 1", "", "d")), Step("e", ())]


@pytest.mark.parametrize(
    ("printed", "missing"),
    [
        ("noise\nloaded 3 rows in 9.25 s\nnoise\n  copy 1.0 s", None),
        ("loaded 3 rows in 9.25 s\n", "  copy 0.8 s"),
        ("  copy 0.8 s\nloaded 3 rows in 8.1 s", "  copy 0.8 s"),
        ("loaded no rows in 8.1 s", "loaded 3 rows in 8.1 s"),
    ],
)
def test_each_line_of_the_page_must_be_printed_in_order(printed: str, missing: str | None) -> None:
    assert first_missing(["loaded 3 rows in 8.1 s", "  copy 0.8 s"], printed) == missing
