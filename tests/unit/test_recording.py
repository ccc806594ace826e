"""The picture of the demo shows what the demo printed, and nothing of the machine that recorded it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from recording import OF_A_MACHINE, PICTURE, ROOT, RecordingError, record, shorten


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (f"its data in {ROOT}/.demo/postgres", "its data in .demo/postgres"),
        ("its data in /var/tmp/pgjobs-demo-0-0123456789ab/postgres", "its data in .demo/postgres"),
        ("(Python 3.11.7, Java 17 at /usr/lib/jvm/java-17)", "(Python 3.11.7, Java 17)"),
        ("Look further:  /usr/lib/postgresql/15/bin/psql postgresql://", "Look further:  psql postgresql://"),
    ],
)
def test_folders_of_the_machine_are_shortened(printed: str, shown: str) -> None:
    assert shorten(f"a\n{printed}\nb") == f"a\n{shown}\nb"


@pytest.mark.parametrize("line", ["in /home/me/x", "at /opt/java", "from https://index.example.com/simple"])
def test_a_line_that_still_names_one_is_an_error(line: str) -> None:
    with pytest.raises(RecordingError, match="names a folder or an address"):
        shorten(f"a\n{line}\nb")


def test_a_command_is_recorded_as_a_terminal_shows_it() -> None:
    pytest.importorskip("pty", reason="Windows has no pseudo-terminal of this kind")
    code = "import sys; print('a'); print('b', file=sys.stderr); print(sys.stdout.isatty())"
    assert record([sys.executable, "-c", code], {}) == "a\nb\nTrue\n"


def test_a_command_that_fails_leaves_no_picture() -> None:
    pytest.importorskip("pty", reason="Windows has no pseudo-terminal of this kind")
    with pytest.raises(RecordingError, match=r"ended with 3:\na\n"):
        record([sys.executable, "-c", "print('a'); raise SystemExit(3)"], {})


def test_the_picture_is_small_and_whole_and_loads_nothing() -> None:
    picture = PICTURE.read_text(encoding="utf-8")
    assert len(picture) < 20_000
    assert "336,776" in picture
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert not OF_A_MACHINE.search(re.sub(r'xmlns="[^"]+"', "", picture))
    assert PICTURE.relative_to(ROOT) == Path("docs/assets/demo.svg")
