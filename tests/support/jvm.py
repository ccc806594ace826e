"""How Spark runs in tests: its JVMs live for seconds, so what pays off after minutes costs more than it gives.

Half of a JVM's start is loading Spark's classes. An archive of them (class data sharing) is made once, in build/spark.
A JVM that it does not fit does without, and so do all where it cannot be made.
https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html#application-class-data-sharing
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pyspark

SUPPORT = Path(__file__).parent
HOME = Path(pyspark.__file__).parent
FOLDER = SUPPORT.parents[1] / "build" / "spark"

_SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"  # of what does not fit, Java would warn on standard output


def environ(source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a Spark of the tests: nothing of the caller's own Spark or PostgreSQL."""
    kept = {name: value for name, value in source.items() if not name.startswith(("PG", "SPARK_", "PYSPARK_"))}
    return {**kept, **_of_setup(), "SPARK_CONF_DIR": str(_no_conf()), "PYTHONPATH": _with_support(source)}


def conf(options: str = "") -> dict[str, str]:
    """Options of all of Spark's JVMs, as its configuration."""
    options = f"{flags()} {options}".rstrip()
    return {
        "spark.driver.extraJavaOptions": options,
        "spark.executor.extraJavaOptions": options,
        "spark.python.authenticate.socketTimeout": "120s",  # by default, Python has 15 s to fetch what it collects
    }


WARM_WORKERS = {"spark.python.daemon.module": "spark_daemon"}
"""Python workers that have imported what they will want; not where a test is to see what a user's do."""


@cache
def flags() -> str:
    """Options of a JVM. The first call may take half a minute, for it makes the archive."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    java = _of_setup().get("JAVA_HOME", os.environ.get("JAVA_HOME", ""))
    # Java compares the JARs with those of the archive by their times, too: an installation has its own.
    name = sha256(f"{HOME} {pyspark.__version__} {java} {_installed()}".encode()).hexdigest()[:16]
    archive = FOLDER / f"{name}.jsa"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several workers, one makes it
        if not archive.exists():
            _make(archive)
    return f"{_SHORT_LIVED} -XX:SharedArchiveFile={archive} {_QUIET}" if archive.stat().st_size else _SHORT_LIVED


def _installed() -> int:
    """When, in nanoseconds."""
    return max(jar.stat().st_mtime_ns for jar in (HOME / "jars").iterdir())


def _make(archive: Path) -> None:
    """Run a few queries in a JVM that leaves its classes; an empty file says that this Java cannot."""
    with TemporaryDirectory(dir=FOLDER) as folder:
        made = Path(folder, "made.jsa")
        options = f"{_SHORT_LIVED} -XX:ArchiveClassesAtExit={made} {_QUIET}"
        command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]"]
        command += ["--conf", "spark.ui.enabled=false", "--conf", f"spark.driver.extraJavaOptions={options}"]
        script = str(SUPPORT / "class_archive.py")
        subprocess.run([*command, script], cwd=folder, env=environ(), capture_output=True, check=False)
        made.touch()
        made.rename(archive)


@cache
def _of_setup() -> dict[str, str]:
    """What `make setup` has Spark read at every start, from a folder that is not used here."""
    rules = HOME / "conf" / "spark-env.sh"
    if not rules.exists():
        return {}
    script = f'. {rules}; for name in JAVA_HOME SPARK_LOCAL_IP PYSPARK_PYTHON; do eval "echo $name=\\$$name"; done'
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    told = subprocess.run(["/bin/sh", "-c", script], env=bare, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in told.splitlines())


def _no_conf() -> Path:
    """An empty folder: an archive of classes fits no class path with files that are none of JARs."""
    folder = FOLDER / "conf"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _with_support(source: Mapping[str, str]) -> str:
    """Where Spark's Python finds spark_daemon and sitecustomize."""
    return os.pathsep.join(filter(None, [str(SUPPORT), source.get("PYTHONPATH", "")]))
