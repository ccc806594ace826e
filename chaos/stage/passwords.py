"""A planted password, and the search for it in everything that the trials write."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

_ITERATIONS = 4096


def plant() -> str:
    """Return a password that occurs nowhere by chance."""
    return f"planted-{secrets.token_hex(12)}"


def verifier(password: str) -> str:
    """Return the server's verifier of a password, for CREATE ROLE: the password itself must not reach the server's log.

    https://www.postgresql.org/docs/current/catalog-pg-authid.html
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


def _only_grows(path: Path) -> bool:
    return path.suffix in (".log", ".inprogress") or path.name in ("stdout", "stderr")


class Search:
    """Searches files for a password. In each file, only what is new since the last search is read.

    Args:
        password: The password that must not be found.
        folders: The folders that contain everything that is written.
    """

    def __init__(self, password: str, *folders: Path) -> None:
        self._secret = password.encode()
        self._folders = folders
        self._read: dict[Path, tuple[float, int]] = {}

    def in_files(self) -> Iterator[str]:
        """Return the files that contain it."""
        for folder in self._folders:
            for path in folder.rglob("*"):
                with contextlib.suppress(OSError):  # the file was removed meanwhile
                    if path.is_file() and not path.is_symlink() and self._is_in(path):
                        yield f"the password is in {path.relative_to(folder)}"

    def _is_in(self, path: Path) -> bool:
        status = path.stat()
        changed, size = self._read.get(path, (0.0, 0))
        if changed == status.st_mtime:
            return False
        self._read[path] = (status.st_mtime, status.st_size)
        with path.open("rb") as file:
            if _only_grows(path) and size <= status.st_size:
                file.seek(max(0, size - len(self._secret)))
            return self._secret in file.read()

    def in_texts(self, texts: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Return the names of the texts that contain it."""
        for what, text in texts:
            if self._secret.decode() in text:
                yield f"the password is in {what}"

    def in_command_lines(self) -> Iterator[str]:
        """Return the processes below this one that show it in their command lines."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                yield from self.in_texts([(f"the command line of {process.name()}", " ".join(process.cmdline()))])
