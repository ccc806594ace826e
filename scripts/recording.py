"""Run `make demo` from the start in a terminal of its own, and draw what it prints as docs/assets/demo.svg.

Run by `make recording`. The text is the demo's own. Only folders of this machine are shortened, and a line that still
has one is an error, so that nothing of the machine is committed. The picture loads no fonts from other hosts.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.terminal_theme import TerminalTheme

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "assets" / "demo.svg"
COLUMNS = 84
READ = 1 << 16  # bytes

SHORTENED = {
    rf"{re.escape(str(ROOT))}/?": "",
    r"/var/tmp/pgjobs-demo-\d+-[0-9a-f]+": ".demo",  # noqa: S108 - a pattern
    r"(?<=Java \d\d) at [^)\n]+": "",
    r"(?m)^Look further:  /\S+/psql": "Look further:  psql",
}
"""Patterns of folders that depend on the machine, and what stands for them."""

OF_A_MACHINE = re.compile(r"/(?:home|root|tmp|var|opt|usr|Users)/|https?://")

SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>make demo</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
  <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class RecordingError(Exception):
    """There is no picture to commit. The message says why."""


def record(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run a command in a pseudo-terminal. Returns what it printed, with the terminal's line ends as newlines.

    Raises:
        RecordingError: It failed.
    """
    import pty  # Windows has none

    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        printed = bytearray()
        while block := read(ours):
            printed += block
    os.close(ours)
    text = printed.decode().replace("\r\n", "\n")
    if process.returncode:
        raise RecordingError(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
    return text


def read(terminal: int) -> bytes:
    """Read what there is; empty at the end, which Linux reports as an error."""
    try:
        return os.read(terminal, READ)
    except OSError:
        return b""


def shorten(text: str) -> str:
    """Return the text without folders of this machine.

    Raises:
        RecordingError: It still names one, or an address.
    """
    for pattern, replacement in SHORTENED.items():
        text = re.sub(pattern, replacement, text)
    for line in text.splitlines():
        if OF_A_MACHINE.search(line):
            raise RecordingError(f"A line names a folder or an address of this machine: {line}")
    return text


def draw(text: str) -> str:
    """Return a picture of a terminal with this text, as SVG."""
    from rich.console import Console
    from rich.text import Text

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(f"$ make demo\n{text.rstrip()}"), soft_wrap=False)
        picture: str = console.export_svg(title="", theme=theme(), code_format=SVG, unique_id="demo")
    return picture


def theme() -> TerminalTheme:
    """Return dark colours of enough contrast for a light and a dark page."""
    from rich.terminal_theme import TerminalTheme

    return TerminalTheme((30, 34, 42), (222, 226, 230), [(0, 0, 0)] * 8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Record the demo. Returns the exit status."""
    description = "Draw what `make demo` prints as docs/assets/demo.svg."
    argparse.ArgumentParser(description=description, allow_abbrev=False).parse_args(arguments)
    demo = [str(ROOT / ".venv" / "bin" / "python"), str(ROOT / "scripts" / "demo.py")]
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    environ.pop("MAKEFLAGS", None)
    try:
        subprocess.run([*demo, "--remove"], cwd=ROOT, check=True)
        text = record(["make", "--no-print-directory", "demo"], environ)
        PICTURE.write_text(draw(shorten(text)), encoding="utf-8")
        subprocess.run([*demo, "--remove"], cwd=ROOT, check=True)
    except (RecordingError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
