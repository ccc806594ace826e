"""The terminal: answers, the job's output, messages, and questions."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(frozen=True)
class Console:
    """Three streams. stdout carries only what was asked for, so that it can be piped. Everything else goes to stderr.

    Attributes:
        as_json: Whether answers are JSON. stdout then has one document, and the job's own output goes to stderr.
    """

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    answers: TextIO = field(default_factory=lambda: sys.stdin)
    as_json: bool = False

    def answer(self, text: str, value: Mapping[str, object]) -> None:
        """Print the answer of a command: its text for a person, or its value as JSON."""
        self.print(json.dumps(value, indent=2) if self.as_json else text)

    def answer_json(self, value: Mapping[str, object]) -> None:
        """Print a value as JSON, if that was asked for. For a person, messages have said it."""
        if self.as_json:
            self.answer("", value)

    def print(self, text: str) -> None:
        """Print the requested output."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def tell(self, text: str) -> None:
        """Print a message about progress."""
        self.err.write(f"{text}\n")
        self.err.flush()

    def show(self, stream: str, text: str) -> None:
        """Print a piece of the job's own output."""
        target = self.out if stream == "stdout" and not self.as_json else self.err
        target.write(text)
        target.flush()

    def confirms(self, question: str) -> bool:
        """Return whether the user answers yes. The default is no, also if there is no terminal."""
        if not self.answers.isatty():
            return False
        self.err.write(f"{question} [y/N] ")
        self.err.flush()
        try:
            return self.answers.readline().strip().lower() in ("y", "yes")
        except KeyboardInterrupt:
            self.err.write("\n")
            return False
