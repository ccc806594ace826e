from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from setup_rules import (
    OF_SPARK,
    SPARKS,
    Java,
    base_python,
    blanks_advice,
    choose_java,
    default_spark,
    files_of_spark,
    java_advice,
    launcher,
    layout,
    locks,
    missing_steps,
    os_id,
    parse_java,
    spark_env,
    spark_javas,
    spark_lock,
    stamp,
    venv_advice,
    venv_package,
    without,
)

OPENJDK_17 = """
Property settings:
    java.home = /usr/lib/jvm/java-17-openjdk-amd64
    java.vm.version = 17.0.15+6

openjdk version "17.0.15" 2025-04-15
"""
ORACLE_8 = """
    java.home = /opt/jdk1.8.0/jre
java version "1.8.0_402"
"""
NO_JAVA_ON_MACOS = "The operation couldn't be completed. Unable to locate a Java Runtime."


@pytest.mark.parametrize(
    ("output", "java"),
    [
        (OPENJDK_17, Java("/usr/lib/jvm/java-17-openjdk-amd64", 17)),
        (ORACLE_8, Java("/opt/jdk1.8.0/jre", 8)),
        (OPENJDK_17.replace('"17.0.15"', '"21-ea"'), Java("/usr/lib/jvm/java-17-openjdk-amd64", 21)),
        (NO_JAVA_ON_MACOS, None),
        ("", None),
    ],
)
def test_java_is_known_by_what_it_prints(output: str, java: Java | None) -> None:
    assert parse_java(output) == java


@pytest.mark.parametrize(
    ("found", "majors", "chosen"),
    [
        ([8, 11, 17, 21], (17, 21), 17),
        ([21, 17], (17, 21), 17),
        ([25, 21], (17, 21), 21),
        ([25, 11], (17, 21), None),
        ([21], (17,), None),
        ([], (17, 21), None),
    ],
)
def test_the_best_java_is_chosen_among_those_spark_runs_on(
    found: list[int], majors: tuple[int, ...], chosen: int | None
) -> None:
    java = choose_java((Java(f"/jvm/{major}", major) for major in found), majors)
    assert (java and java.major) == chosen


def test_the_first_of_two_equal_javas_is_chosen() -> None:
    assert choose_java([Java("/first", 21), Java("/second", 21)], (17, 21)) == Java("/first", 21)


def test_no_java_is_asked_once_the_best_is_found() -> None:
    javas = iter([Java("/first", 17), Java("/second", 17)])
    choose_java(javas, (17, 21))
    assert next(javas).home == "/second"


@pytest.mark.parametrize(("python", "majors"), [((3, 9), (17,)), ((3, 10), (17, 21)), ((3, 13), (17, 21))])
def test_java_goes_with_the_spark_that_goes_with_python(python: tuple[int, int], majors: tuple[int, ...]) -> None:
    assert spark_javas(default_spark(python)) == majors


def test_another_spark_brings_its_lock_file_in_place_of_what_dev_has() -> None:
    folder = Path(__file__).parents[2] / "requirements"
    assert locks("3.5") == (*locks(None), "spark-3.5.lock")
    dev = (folder / "dev.lock").read_text()
    others = without(dev, OF_SPARK)
    assert [line for line in dev.splitlines() if line not in others] != []
    assert not re.search(r"^(pyspark|py4j)==|= 4\.1\.1", others, re.MULTILINE)
    for spark in SPARKS:
        pinned = (folder / spark_lock(spark)).read_text()
        assert set(re.findall(r"^([\w-]+)==", pinned, re.MULTILINE)) == set(OF_SPARK)
        assert re.search(rf"^pyspark=={re.escape(spark)}\.\d+", pinned, re.MULTILINE)


def test_a_package_is_left_out_with_its_hashes_and_nothing_else() -> None:
    first, last = "a==1 \\\n    --hash=sha256:1\n    # via b\n", "pyspark==3 \\\n    --hash=sha256:2\n"
    assert without(f"# made by\n{first}a-b==2\n{last}", ["a", "pyspark"]) == "# made by\na-b==2\n"


@pytest.mark.parametrize(
    ("system", "distribution", "command"),
    [
        ("linux", "debian", "apt-get install -y openjdk-17-jre-headless"),
        ("linux", "ubuntu", "apt-get install -y openjdk-17-jre-headless"),
        ("linux", "amzn", "dnf install -y java-17-amazon-corretto-headless"),
        ("darwin", "", "brew install openjdk@17"),
        ("linux", "slackware", "set JAVA_HOME"),
    ],
)
def test_without_java_each_system_is_told_its_command(system: str, distribution: str, command: str) -> None:
    assert command in java_advice(system, distribution, (17, 21))


@pytest.mark.parametrize(
    ("os_release", "name"),
    [
        ('NAME="Debian"\nVERSION_ID="12"\nID=debian\n', "debian"),
        ('ID="amzn"\nID_LIKE="fedora"\n', "amzn"),
        ("", ""),
    ],
)
def test_the_distribution_is_named_by_its_id(os_release: str, name: str) -> None:
    assert os_id(os_release) == name


def test_the_package_for_virtual_environments_is_that_of_the_python_in_use() -> None:
    assert venv_package((3, 12)) == "python3.12-venv"


@pytest.mark.parametrize(
    ("debian", "command"),
    [(True, "apt-get install -y python3.12-venv"), (False, "make setup PYTHON=")],
)
def test_without_virtual_environments_one_is_told_what_to_do(debian: bool, command: str) -> None:
    assert command in venv_advice("python3.12-venv", debian=debian)


@pytest.mark.parametrize(("folder", "refused"), [("/home/me/pgjobs", False), ("/home/me/my jobs", True)])
def test_a_folder_with_a_blank_is_refused(folder: str, refused: bool) -> None:
    assert bool(blanks_advice(folder)) is refused


@pytest.mark.parametrize(
    ("config", "python"),
    [
        ("home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.9.18\n", "/usr/bin/python3.9"),
        ("home = /opt/my python/bin\nversion = 3.11.7\n", "/opt/my python/bin/python3.11"),
        ("version = 3.11.7\n", None),
        ("", None),
    ],
)
def test_a_venv_tells_which_python_made_it(config: str, python: str | None) -> None:
    assert base_python(config) == python


WANTED = stamp("3.11.7", "/clone/.venv", {"dev.lock": b"a==1"}, b"[project]")


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (WANTED, ()),
        (None, ("venv", "packages", "project")),
        ({}, ("venv", "packages", "project")),
        ({**WANTED, "python": "3.9.18"}, ("venv", "packages", "project")),
        ({**WANTED, "venv": "/moved/.venv"}, ("venv", "packages", "project")),
        ({**WANTED, "locks": "others"}, ("venv", "packages", "project")),
        ({**WANTED, "project": "another"}, ("project",)),
    ],
)
def test_only_what_is_missing_is_done(found: dict[str, str] | None, steps: tuple[str, ...]) -> None:
    assert missing_steps(found, WANTED) == steps


@pytest.mark.parametrize(
    "other",
    [
        stamp("3.11.7", "/clone/.venv", {"dev.lock": b"a==2"}, b"[project]"),
        stamp("3.11.7", "/clone/.venv", {"dev.lock": b"a==1", "build.lock": b""}, b"[project]"),
        stamp("3.11.7", "/clone/.venv", {"dev.lock": b"a==1"}, b"[project]\nversion"),
    ],
)
def test_another_lock_or_project_has_another_stamp(other: dict[str, str]) -> None:
    assert other != WANTED


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/jvm/17 /clone/.venv/bin/python 127.0.0.1"),
        ({"JAVA_HOME": "/jvm/8"}, "/jvm/17 /clone/.venv/bin/python 127.0.0.1"),
        ({"PYSPARK_PYTHON": "/other/python"}, "/jvm/17 /other/python 127.0.0.1"),
        ({"SPARK_LOCAL_IP": "10.0.0.1"}, "/jvm/17 /clone/.venv/bin/python 10.0.0.1"),
    ],
)
def test_spark_gets_its_java_and_what_the_caller_did_not_choose(environ: dict[str, str], expected: str) -> None:
    script = spark_env("/jvm/17", "/clone/.venv/bin/python") + 'echo "$JAVA_HOME $PYSPARK_PYTHON $SPARK_LOCAL_IP"'
    done = subprocess.run(["/bin/sh", "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_spark_submit_runs_the_packages_own_with_every_argument(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "spark-submit"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\necho "$SPARK_HOME:$#:$2"\n')
    script.chmod(0o755)
    command = ["/bin/sh", "-c", launcher(str(tmp_path)), "spark-submit", "job.py", "two words"]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path}:2:two words\n"


def test_on_windows_spark_is_configured_by_its_command_files() -> None:
    files = files_of_spark(
        "win32", r"C:\w\.venv\Lib\site-packages\pyspark", r"C:\Program Files\Java\jdk-17", r"C:\w\py.exe"
    )
    assert sorted(files) == ["conf/spark-env.cmd", "spark-submit.cmd"]
    assert r'set "JAVA_HOME=C:\Program Files\Java\jdk-17"' in files["conf/spark-env.cmd"]
    assert r'@set "SPARK_HOME=C:\w\.venv\Lib\site-packages\pyspark"' in files["spark-submit.cmd"]


def test_elsewhere_it_is_configured_by_its_shell_scripts() -> None:
    files = files_of_spark("linux", "/spark", "/java", "/python")
    assert files == {"conf/spark-env.sh": spark_env("/java", "/python"), "spark-submit": launcher("/spark")}


def test_the_layout_is_that_of_the_platforms_venv() -> None:
    assert layout("win32") == ("Scripts/python.exe", "Scripts", "Lib/site-packages")
    assert layout("linux") == layout("darwin") == ("bin/python", "bin", "lib/python3*/site-packages")


def test_windows_has_advice_of_its_own() -> None:
    advice = java_advice("win32", "", (17, 21))
    assert "winget install" in advice
    assert advice.endswith("then run python scripts/setup.py again.")


def test_the_python_of_a_venv_on_windows_is_found() -> None:
    assert base_python("home = C:\\Python311\nversion = 3.11.7\n") == r"C:\Python311\python.exe"
