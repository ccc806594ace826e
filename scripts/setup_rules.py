"""The decisions of the setup, as pure functions: values in, values out."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Where to look for a Java home after JAVA_HOME and PATH: Linux, macOS, Homebrew (ARM and Intel), SDKMAN.
JAVA_HOMES = (
    "/usr/lib/jvm/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*",
    "/usr/local/opt/openjdk*",
    "~/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/.sdkman/candidates/java/*",
)
JAVA_HOMES_ON_WINDOWS = (
    "C:/Program Files/Eclipse Adoptium/*",
    "C:/Program Files/Java/*",
    "C:/Program Files/Microsoft/jdk-*",
    "C:/Program Files/Amazon Corretto/*",
)

SPARKS = ("3.5", "4.0", "4.1")
"""The PySpark versions that have a lock file of their own."""
OF_SPARK = ("pyspark", "py4j")
"""What such a lock file pins, in place of dev.lock."""


class Layout(NamedTuple):
    """Where a virtual environment has its programs, as venv makes it on a platform."""

    python: str
    scripts: str
    packages: str


def layout(platform: str) -> Layout:
    """Return the layout on a platform, as in sys.platform. `packages` is a pattern."""
    if platform == "win32":
        return Layout("Scripts/python.exe", "Scripts", "Lib/site-packages")
    return Layout("bin/python", "bin", "lib/python3*/site-packages")


class Java(NamedTuple):
    """A working Java: its home and its major version."""

    home: str
    major: int


def default_spark(python: tuple[int, int]) -> str:
    """Return the Spark that dev.lock pins for a Python."""
    return "4.1" if python >= (3, 10) else "3.5"


def spark_javas(spark: str) -> tuple[int, ...]:
    """Return the Java major versions that a Spark supports, best first."""
    return (17,) if spark == "3.5" else (17, 21)


def spark_lock(spark: str) -> str:
    """Return the name of a Spark's lock file: spark-3.5.lock."""
    return f"spark-{spark}.lock"


def locks(spark: str | None) -> tuple[str, ...]:
    """Return the names of an environment's lock files. Changes of other lock files do not affect it."""
    return ("build.lock", "dev.lock", "demo.lock", *([spark_lock(spark)] if spark else []))


def without(lock: str, names: Iterable[str]) -> str:
    """Remove packages from the text of a lock file: their lines, and the indented lines that belong to them."""
    left_out = tuple(f"{name}==" for name in names)
    requirements = re.split(r"^(?=[^\s#])", lock, flags=re.MULTILINE)
    return "".join(requirement for requirement in requirements if not requirement.startswith(left_out))


def parse_java(output: str) -> Java | None:
    """Parse the home and the version from the output of `java -XshowSettings:properties -version`."""
    home = re.search(r"^\s*java\.home = (.+)$", output, re.MULTILINE)
    version = re.search(r'version "(?:1\.)?(\d+)', output)
    return Java(home[1].strip(), int(version[1])) if home and version else None


def choose_java(javas: Iterable[Java], majors: Sequence[int]) -> Java | None:
    """Return the first Java of the best available major version. Stop as soon as no better one can come."""
    best: Java | None = None
    for java in javas:
        if java.major == majors[0]:
            return java
        if java.major in majors and (best is None or majors.index(java.major) < majors.index(best.major)):
            best = java
    return best


def java_advice(system: str, os_id: str, majors: Sequence[int]) -> str:
    """Return what to run on this system to install a Java that Spark supports."""
    wanted = " or ".join(str(major) for major in majors)
    others = "".join(f"    # or openjdk-{major}-jre-headless" for major in majors[1:])
    apt = f"sudo apt-get update && sudo apt-get install -y openjdk-{majors[0]}-jre-headless{others}"
    commands = {
        "darwin": "brew install openjdk@17",
        "amzn": "sudo dnf install -y java-17-amazon-corretto-headless",
        "fedora": "sudo dnf install -y java-21-openjdk-headless",
        "debian": apt,
        "ubuntu": apt,
        "win32": "winget install EclipseAdoptium.Temurin.17.JDK",
    }
    command = commands.get(system if system in commands else os_id)
    again = "python scripts/setup.py" if system == "win32" else "make"
    install = f"Install it:\n\n    {command}\n\nor set" if command else "Install one, or set"
    return f"Spark needs Java {wanted}, and none was found. {install} JAVA_HOME to one, then run {again} again."


def venv_package(python: tuple[int, int]) -> str:
    """Return the package of Debian and Ubuntu with which this Python can create virtual environments."""
    return f"python{python[0]}.{python[1]}-venv"


def venv_advice(package: str, *, debian: bool) -> str:
    """Return what to do if this Python cannot create virtual environments."""
    if debian:
        command = f"sudo apt-get update && sudo apt-get install -y {package}"
        return f"This Python cannot make virtual environments. Run\n\n    {command}\n\nthen make again."
    return "This Python has no ensurepip. Choose another: make setup PYTHON=/path/to/python3"


def os_id(os_release: str) -> str:
    """Return the distribution's name, such as debian or amzn, from the text of /etc/os-release."""
    match = re.search(r'^ID="?([\w.-]+)"?$', os_release, re.MULTILINE)
    return match[1] if match else ""


def blanks_advice(folder: str) -> str | None:
    """Return what to do if Spark's scripts could not run from the folder, None if they can."""
    if any(letter.isspace() for letter in folder):
        return f"Spark cannot run from a folder with a blank in its name: move the clone away from {folder!r}."
    return None


def base_python(pyvenv_cfg: str) -> str | None:
    """Return the interpreter that created a venv, from its pyvenv.cfg."""
    home = re.search(r"^home = (.+)$", pyvenv_cfg, re.MULTILINE)
    version = re.search(r"^version = (\d+\.\d+)", pyvenv_cfg, re.MULTILINE)
    if home and "\\" in home[1]:  # Windows
        return f"{home[1].strip()}\\python.exe"
    return f"{home[1].strip()}/python{version[1]}" if home and version else None


def stamp(python: str, venv: str, locks: Mapping[str, bytes], project: bytes) -> dict[str, str]:
    """Describe the wanted environment. A completed one contains the same description."""
    digest = hashlib.sha256(b"".join(name.encode() + text for name, text in sorted(locks.items())))
    return {
        "python": python,
        "venv": venv,
        "locks": digest.hexdigest(),
        "project": hashlib.sha256(project).hexdigest(),
    }


def missing_steps(existing: Mapping[str, str] | None, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Return the steps from the existing environment (None: incomplete) to the wanted one.

    A venv is never changed in place: other packages, another Python or another folder make a new one.
    """
    if existing == wanted:
        return ()
    if existing is not None and {**existing, "project": wanted["project"]} == wanted:
        return ("project",)
    return ("venv", "packages", "project")


def spark_env(java_home: str, python: str) -> str:
    """Return the text of Spark's conf/spark-env.sh."""
    return (
        "# Written by scripts/setup.py. Spark reads it at every start, by spark-submit or from Python.\n"
        "# JAVA_HOME is not the caller's: set-up took the caller's where Spark runs on it.\n"
        f"JAVA_HOME={shlex.quote(java_home)}\n"
        f"PYSPARK_PYTHON=${{PYSPARK_PYTHON:-{shlex.quote(python)}}}\n"
        "# A laptop's host name may lead anywhere; a local Spark talks to itself.\n"
        "SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}\n"
    )


def launcher(spark_home: str) -> str:
    """Return the text of bin/spark-submit. pip's own script looks for Spark in the system's Python, in vain."""
    return (
        "#!/bin/sh\n"
        "# Written by scripts/setup.py.\n"
        f"export SPARK_HOME={shlex.quote(spark_home)}\n"
        'exec "$SPARK_HOME/bin/spark-submit" "$@"\n'
    )


def spark_env_on_windows(java_home: str, python: str) -> str:
    """Return the text of Spark's conf/spark-env.cmd."""
    return (
        "@rem Written by scripts/setup.py. Spark reads it at every start, by spark-submit or from Python.\n"
        f'set "JAVA_HOME={java_home}"\n'
        f'if not defined PYSPARK_PYTHON set "PYSPARK_PYTHON={python}"\n'
        'if not defined SPARK_LOCAL_IP set "SPARK_LOCAL_IP=127.0.0.1"\n'
    )


def launcher_on_windows(spark_home: str) -> str:
    """Return the text of Scripts/spark-submit.cmd."""
    return (
        "@rem Written by scripts/setup.py.\n"
        f'@set "SPARK_HOME={spark_home}"\n'
        '@call "%SPARK_HOME%\\bin\\spark-submit.cmd" %*\n'
    )


def files_of_spark(platform: str, spark_home: str, java_home: str, python: str) -> dict[str, str]:
    """Return the files that configure Spark, as texts by their paths: below Spark's home, or below the scripts."""
    if platform == "win32":
        return {
            "conf/spark-env.cmd": spark_env_on_windows(java_home, python),
            "spark-submit.cmd": launcher_on_windows(spark_home),
        }
    return {"conf/spark-env.sh": spark_env(java_home, python), "spark-submit": launcher(spark_home)}
