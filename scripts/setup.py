"""Create a virtual environment from the lock files, and configure Spark in it.

Run by `make setup`, and by itself where there is no make. Needs only Python 3.9 or newer. A second run installs only
what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import setup_rules as rules
from setup_system import SetupError, require_ensurepip, require_java, run, step

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
LAYOUT = rules.layout(sys.platform)
WINDOWS = platform.system() == "Windows"


def main() -> int:
    """Run the setup and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Make a virtual environment with everything this project needs.", allow_abbrev=False
    )
    parser.add_argument("--venv", default=".venv", help="its folder in the clone (default: %(default)s)")
    parser.add_argument("--keep-python", action="store_true", help="go on with the Python that made it, if any did")
    parser.add_argument("--spark", choices=rules.SPARKS, help="another PySpark than requirements/dev.lock has")
    options = parser.parse_args()
    venv = ROOT / options.venv
    if options.keep_python:
        go_on_with_python_of(venv)
    try:
        set_up(venv, options.spark)
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted. Run it again: it completes what is missing", file=sys.stderr)
        return 130
    return 0


def go_on_with_python_of(venv: Path) -> None:
    """Run this script with the interpreter that made the environment, unless that is so or it no longer exists."""
    config = venv / "pyvenv.cfg"
    python = rules.base_python(config.read_text()) if config.exists() else None
    if python and Path(python).exists():
        is_it = sys.prefix == sys.base_prefix and Path(python).samefile(sys.executable)
        if not is_it:
            os.execv(python, [python, __file__, "--venv", str(venv)])  # noqa: S606 - this script itself


def set_up(venv: Path, spark: str | None) -> None:
    """Bring the environment to the state of the lock files. Steps that can fail at once come before slow ones.

    Args:
        venv: The folder of the environment.
        spark: The PySpark to install, "3.5"; None for the one in dev.lock.
    """
    blanks = rules.blanks_advice(str(ROOT))
    if blanks:
        raise SetupError(blanks)
    java = java_or_advice(rules.spark_javas(spark or rules.default_spark(sys.version_info[:2])))
    wanted = rules.stamp(
        python=sys.version,
        venv=str(venv),
        locks={name: (REQUIREMENTS / name).read_bytes() for name in rules.locks(spark)},
        project=(ROOT / "pyproject.toml").read_bytes(),
    )
    stamp_file = venv / "set-up.json"
    steps = rules.missing_steps(read_stamp(stamp_file), wanted)
    if steps:
        stamp_file.unlink(missing_ok=True)
        install(venv, steps, spark)
    if java:
        configure_spark(venv, java)
    stamp_file.write_text(json.dumps(wanted, indent=2) + "\n")
    python = platform.python_version()
    about_java = f"Java {java.major} at {java.home}" if java else "no Java, so no Spark"
    print(f"set-up: {venv.name} is complete (Python {python}, {about_java})")


def java_or_advice(majors: tuple[int, ...]) -> rules.Java | None:
    """Return a Java that Spark supports. Without one, the set-up of Windows goes on: packing and unit tests need none.

    Raises:
        SetupError: There is none, and this is not Windows.
    """
    try:
        return require_java(majors)
    except SetupError as error:
        if not WINDOWS:
            raise
        print(f"set-up: {error}\nset-up: continuing without Spark")
        return None


def read_stamp(path: Path) -> dict[str, str] | None:
    """Return what the last completed setup wrote, None if it cannot be read."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None


def install(venv: Path, steps: tuple[str, ...], spark: str | None) -> None:
    """Execute the missing steps."""
    if "venv" in steps:
        require_ensurepip()
        with step(f"a new {venv.name}"):
            run([sys.executable, "-m", "venv", "--clear", venv], "Can this folder be written to?")
            (venv / ".gitignore").write_text("*\n")
    if "packages" in steps:
        with step("what builds packages"):
            pip_install(venv, "--require-hashes", "--requirement", REQUIREMENTS / "build.lock")
        with step("packages of requirements/dev.lock (Spark is some 430 MB)"):
            for lock in packages(venv, spark):
                pip_install(venv, "--require-hashes", "--requirement", lock)
        with step("the demo's data"):
            pip_install(venv, "--require-hashes", "--requirement", REQUIREMENTS / "demo.lock")
    if "project" in steps:
        with step("pgjobs itself, editable"):
            pip_install(venv, "--editable", ROOT)


def packages(venv: Path, spark: str | None) -> list[Path]:
    """Return the lock files of a developer's packages: dev.lock, without its Spark if another one is requested."""
    dev = REQUIREMENTS / "dev.lock"
    if spark is None:
        return [dev]
    others = venv / "dev-without-spark.lock"
    others.write_text(rules.without(dev.read_text(encoding="utf-8"), rules.OF_SPARK), encoding="utf-8")
    return [others, REQUIREMENTS / rules.spark_lock(spark)]


def pip_install(venv: Path, *what: str | Path) -> None:
    """Install exactly what the lock files pin, including what builds it."""
    pip = [str(venv / LAYOUT.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run(
        [*pip, "--no-deps", "--no-build-isolation", *what],
        "Does this machine reach its Python package index? Run make again: what was downloaded is not lost.",
    )


def configure_spark(venv: Path, java: rules.Java) -> None:
    """Configure Spark's Java and Python, so that neither an activated venv nor JAVA_HOME is needed."""
    spark_home = next(venv.glob(f"{LAYOUT.packages}/pyspark"))
    (spark_home / "conf").mkdir(exist_ok=True)
    files = rules.files_of_spark(sys.platform, str(spark_home), java.home, str(venv / LAYOUT.python))
    for name, text in files.items():
        file = (spark_home if "/" in name else venv / LAYOUT.scripts) / name
        file.write_text(text)
        file.chmod(file.stat().st_mode | (0 if "/" in name else 0o755))


if __name__ == "__main__":
    sys.exit(main())
