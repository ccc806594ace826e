"""The terminal: where the job's output, what is told of it, and questions go."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TextIO


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
