"""The actions of the setup: running commands, apt-get, and finding a Java for Spark."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import setup_rules as rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# pip and apt-get print much; the cause is in their last lines.
LINES_OF_A_FAILURE = 15
# A new Ubuntu updates itself in the background: wait up to 300 s for its lock.
APT_GET = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300")


class SetupError(Exception):
    """The setup cannot continue. The message says what to do."""


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Print one line: what is being done, and how long it took."""
    print(f"set-up: {what} ...", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print(" failed")
        raise
    print(f" {time.monotonic() - start:.0f} s")


def run(command: Sequence[str | Path], advice: str) -> None:
    """Run a command without output. If it fails, show its last lines and what to do."""
    completed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if completed.returncode:
        tail = "\n".join(completed.stdout.splitlines()[-LINES_OF_A_FAILURE:])
        raise SetupError(
            f"{' '.join(map(str, command))}\nended with status {completed.returncode}:\n\n{tail}\n\n{advice}"
        )


def may_apt() -> list[str] | None:
    """Return the prefix of apt-get: nothing for root, sudo if it needs no password; None if apt-get cannot be used."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    allowed = shutil.which("sudo") and not subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode
    return sudo if allowed else None


def apt_install(before: Sequence[str], packages: Sequence[str]) -> None:
    """Install the first available of these packages."""
    apt = [*before, *APT_GET]
    run([*apt, "update"], "Does this machine reach its package mirror?")
    for package in packages:
        with contextlib.suppress(SetupError):
            return run([*apt, "install", "-y", "--no-install-recommends", package], "")
    raise SetupError(f"apt-get could install none of {', '.join(packages)}: install one by hand, then run make again.")


def require_ensurepip() -> None:
    """Make sure that this Python can create a virtual environment: Debian and Ubuntu package this separately."""
    check = [sys.executable, "-c", "import ensurepip, venv"]
    if not subprocess.run(check, capture_output=True, check=False).returncode:
        return
    package = rules.venv_package(sys.version_info[:2])
    before = may_apt()
    if before is None:
        raise SetupError(rules.venv_advice(package, debian=shutil.which("apt-get") is not None))
    with step(f"{package} by apt-get"):
        apt_install(before, [package])


def require_java(majors: Sequence[int]) -> rules.Java:
    """Return a Java that Spark supports. On Debian and Ubuntu, it is installed if there is none."""
    java = find_java(majors)
    before = None if java else may_apt()
    if before is not None:
        with step("Java by apt-get"):
            apt_install(before, [f"openjdk-{major}-jre-headless" for major in majors])
        java = find_java(majors)
    if java is None:
        release = Path("/etc/os-release")
        name = rules.os_id(release.read_text()) if release.exists() else ""
        raise SetupError(rules.java_advice(sys.platform, name, majors))
    return java


def find_java(majors: Sequence[int]) -> rules.Java | None:
    """Return the Java of JAVA_HOME if Spark supports it, else the best Java of this machine."""
    home = os.environ.get("JAVA_HOME")
    chosen = [Path(home, "bin", "java")] if home else []  # Windows finds java.exe by this name, too
    return rules.choose_java(ask_javas(chosen), majors) or rules.choose_java(ask_javas(java_commands()), majors)


def java_commands() -> Iterator[Path]:
    """Yield every `java` of this machine, beginning with PATH."""
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
    windows = sys.platform == "win32"
    homes, java = (rules.JAVA_HOMES_ON_WINDOWS, "java.exe") if windows else (rules.JAVA_HOMES, "java")
    for pattern in homes:
        home = Path(pattern).expanduser()
        root = Path(home.anchor)
        yield from sorted(root.glob(f"{home.relative_to(root).as_posix()}/bin/{java}"))


def ask_javas(commands: Iterable[Path]) -> Iterator[rules.Java]:
    """Yield home and version of each `java` that runs."""
    for command in commands:
        with contextlib.suppress(OSError):
            question = [str(command), "-XshowSettings:properties", "-version"]
            answer = subprocess.run(question, capture_output=True, text=True, check=False)
            java = rules.parse_java(answer.stderr)
            if java:
                yield java
