"""What is to run on Windows, too, is imported and packs where the modules and functions of Unix are absent.

No Windows is at hand: this shows that nothing asks for what only Unix has, not that Windows does the rest.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

WITHOUT_UNIX = """
import os, signal, socket, sys, tarfile, tempfile

MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"}

class Absent:
    def find_spec(name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(name)

for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent)
for module, names in {
    os: "chown fchmod fchown fork forkpty getegid geteuid getgid getpgid getuid killpg lchown mkfifo setpgid setsid"
        " setuid symlink wait3 wait4",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm setitimer",
    socket: "AF_UNIX TCP_USER_TIMEOUT",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
"""

IMPORT_ALL = """
import importlib, pkgutil
import setup_rules, setup_system, setup
for top in ("pgjobs", "jobs"):
    for found in pkgutil.walk_packages(importlib.import_module(top).__path__, f"{top}."):
        if not found.name.startswith("jobs.pgcopy"):  # which needs Spark 4
            importlib.import_module(found.name)
"""

PACK = """
from pathlib import Path
from pgjobs.archive import build, tarball, target

wanted = target.target_for("emr-7.13.0", "x86_64", "/usr/bin/python3.11")
with tempfile.TemporaryDirectory() as scratch:
    site = build.lay_out(Path(scratch, "venv"), wanted)
    (site / "x.py").write_bytes(b"")
    tarball.pack(Path(scratch, "venv"), Path(scratch, "packed"), build.links(wanted))
    with tarfile.open(Path(scratch, "packed")) as packed:
        for member in packed:
            print(member.name, oct(member.mode), member.linkname)
"""


def run_without_unix(program: str) -> str:
    command = [sys.executable, "-c", WITHOUT_UNIX + program]
    environ = {"PYTHONPATH": str(ROOT / "scripts"), "PATH": "", "HOME": str(ROOT)}  # no lookup of a home, by pwd
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_all_modules_of_the_laptops_side_and_of_the_jobs_are_imported() -> None:
    run_without_unix(IMPORT_ALL)


def test_an_archive_has_its_links_where_none_can_be_made() -> None:
    assert run_without_unix(PACK).splitlines() == [
        "bin 0o755 ",
        "bin/python 0o755 /usr/bin/python3.11",
        "bin/python3 0o755 python",
        "bin/python3.11 0o755 python",
        "lib 0o755 ",
        "lib/python3.11 0o755 ",
        "lib/python3.11/site-packages 0o755 ",
        "lib/python3.11/site-packages/x.py 0o644 ",
        "pyvenv.cfg 0o644 ",
    ]
