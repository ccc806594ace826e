"""Run docs/first-load.md as it is written, in an environment that has pgjobs. It takes part in `make release-check`.

    python scripts/first_load.py build/release/python-3.11-spark

Each line that the page shows must be printed, in order. Numbers may differ, and Spark may print lines in between.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "first-load.md"
READY = "PostgreSQL is ready: "
BY_HAND = ("python3 -m venv", ". try", "pip install", "export ")
"""Commands of the page that make the environment, which is there already."""


class FirstLoadError(Exception):
    """The page is wrong. The message says where."""


@dataclass(frozen=True)
class Step:
    """A command of the page, and the lines that it prints."""

    command: str
    printed: tuple[str, ...]


def steps_of(page: str) -> list[Step]:
    """Return the commands of a page's examples. A command that ends in a backslash continues."""
    steps = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            [command, printed] = re.split(r"(?<!\\)\n", text, maxsplit=1)
            steps.append(Step(command, tuple(printed.splitlines())))
    return [step for step in steps if not step.command.startswith(BY_HAND)]


def first_missing(shown: Sequence[str], printed: str) -> str | None:
    """Return the first line of the page that was not printed in its turn, None if all were. Numbers may differ."""
    lines = iter(map(without_numbers, printed.splitlines()))
    return next((line for line in shown if without_numbers(line) not in lines), None)


def without_numbers(line: str) -> str:
    """Return a line with each time, count and size as #."""
    return re.sub(r"\d[\d.,:]*", "#", line).rstrip()


def run(venv: Path, folder: Path) -> None:
    """Run the page in an empty folder.

    Raises:
        FirstLoadError: A command did not print what the page shows.
    """
    [server, *steps] = steps_of(PAGE.read_text(encoding="utf-8"))
    environ = {**os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}
    environ.pop("PYTHONPATH", None)
    command = ["python", "-m", "servermgr.postgres", "-d", str(folder / "server"), "-p", "0"]
    if not server.command.startswith(" ".join(command[:3])):
        raise FirstLoadError(f"The page begins with {server.command!r}, not with a server.")
    with subprocess.Popen(
        [str(venv / "bin" / command[0]), *command[1:]], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            url = url_of(process)
            for step in steps:
                take(step, folder, {**environ, "DATABASE_URL": url})
        finally:
            process.terminate()


def url_of(process: subprocess.Popen[str]) -> str:
    """Return the address that the server prints.

    Raises:
        FirstLoadError: It did not start.
    """
    for line in process.stdout or ():
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
    raise FirstLoadError("The server did not start: see above.")


def take(step: Step, folder: Path, environ: Mapping[str, str]) -> None:
    """Run one command. The file that the page shows first is written.

    Raises:
        FirstLoadError: It did not print what the page shows.
    """
    if step.command == "cat orders.csv":
        (folder / "orders.csv").write_text("\n".join([*step.printed, ""]), encoding="utf-8")
        return
    bash = ["bash", "-c", step.command]
    done = subprocess.run(
        bash, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    missing = first_missing(step.printed, done.stdout)
    if missing is not None:
        raise FirstLoadError(f"$ {step.command}\nprinted\n{done.stdout}\nand not, as the page shows:\n{missing}")
    print(f"  $ {step.command.splitlines()[0][:100]}", flush=True)


def main(venv: Path) -> int:
    """Run the page. Returns the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="first-load-", dir="/var/tmp"))
    folder.chmod(0o755)  # root's server runs as another user
    try:
        run(venv.resolve(), folder)
    except FirstLoadError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
