"""The terminal: where the job's output, what is told of it, and questions go."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TextIO

from deploy.summary import SEARCHED_LINES


@dataclass(frozen=True)
class Console:
    """Three streams. The job's stdout is alone on ours, so that it can be piped; all else is on stderr."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    answers: TextIO = field(default_factory=lambda: sys.stdin)

    def print(self, text: str) -> None:
        """Print what was asked for."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def tell(self, text: str) -> None:
        """Tell what is going on."""
        self.err.write(f"{text}\n")
        self.err.flush()

    def show(self, stream: str, text: str) -> None:
        """Pass on a piece of the job's own output."""
        target = self.out if stream == "stdout" else self.err
        target.write(text)
        target.flush()

    def confirms(self, question: str) -> bool:
        """Whether a person says yes; no is the default, and the answer where there is no person."""
        if not self.answers.isatty():
            return False
        self.err.write(f"{question} [y/N] ")
        self.err.flush()
        try:
            return self.answers.readline().strip().lower() in ("y", "yes")
        except KeyboardInterrupt:
            self.err.write("\n")
            return False


class LastLines:
    """The last lines of each stream that went by."""

    def __init__(self) -> None:
        self._kept = {stream: deque[str](maxlen=SEARCHED_LINES) for stream in ("stdout", "stderr")}

    def add(self, stream: str, text: str) -> None:
        """Keep a piece's lines. A line is whole, but for the very last one."""
        self._kept[stream].extend(text.splitlines())

    def of(self, stream: str) -> list[str]:
        """The lines of a stream, the newest last."""
        return list(self._kept[stream])
