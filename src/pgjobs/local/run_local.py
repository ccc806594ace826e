"""Runs a StartJobRun request on this machine: the same archive, script, parameters and arguments, on local-cluster.

Executors are separate processes. Spark starts in an empty working directory, and driver and executors can import only
the archive's packages and Spark. Relative paths refer to the caller's folder. A probe runs first, under the same
configuration: unless the driver and all executors use the archive's interpreter, the request is not run.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tarfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pgjobs.archive import probe
from pgjobs.archive.tarball import relink, unpack
from pgjobs.distribution import DISTRIBUTION
from pgjobs.errors import DeployError
from pgjobs.local import driver
from pgjobs.local.process_group import run_to_end
from pgjobs.submit.configuration import SPARK_DEFAULTS, spark_defaults
from pgjobs.submit.extras import KINDS

EXECUTORS = 2
MASTER = f"local-cluster[{EXECUTORS},1,1024]"
"""Two executors of one core and 1024 MB each."""

# Settings for EMR's workers, which are larger than a laptop: Spark would wait forever for such an executor.
_SIZES = re.compile(
    r"spark\.((driver|executor)\.(cores|memory\w*|instances)|dynamicAllocation\..+|emr-serverless\.(?!driverEnv\.).+)"
)

_DRIVER_ENV = "spark.emr-serverless.driverEnv."
_LINES_SHOWN = 15
_MOST_SECONDS_TO_START = 300
_STACK = ("\tat ", "  File ", "    ")

# The variables that spark-submit needs from the caller's environment. No others are passed, least of all Python's.
_PASSED_ON = re.compile(r"PATH|HOME|LANG|LC_\w+|TZ|JAVA_HOME|PG\w+|AIRFLOW_CONN_\w+|DATABASE_URL|AWS_\w+")


def run_local(
    request: Mapping[str, Any], files: Mapping[str, Path], folder: Path, caller: Path, environ: Mapping[str, str]
) -> int:
    """Run the request. Returns the exit status of spark-submit.

    Args:
        request: The parameters of StartJobRun.
        files: The local file for each S3 URI in the request.
        folder: An empty folder to work in.
        caller: The caller's folder, to which relative paths refer.
        environ: The caller's environment variables.

    Raises:
        DeployError: A file is missing, this machine lacks the archive's interpreter, or the driver or an executor does
            not run on it.
        KeyboardInterrupt: Ctrl-C. Spark has ended.
    """
    refuse_windows(sys.platform)
    installed = spark_home()  # if it is missing, that is the first error
    spark = request["jobDriver"]["sparkSubmit"]
    stated = {**configured(request), **read_parameters(spark["sparkSubmitParameters"])}
    conf = sized_for_here(localized(stated, files))
    home = folder / "home"
    home.mkdir()
    packed = for_here(Path(conf["spark.archives"].rpartition("#")[0]), folder)
    conf["spark.archives"] = f"{packed}#{probe.ENVIRONMENT}"
    unpack(packed, home / probe.ENVIRONMENT)
    variables = environment(conf, environ, spark_beside(installed, folder))
    prove_interpreters(spark_submit(conf), home, variables)
    job = [str(caller), str(files[spark["entryPoint"]]), *spark["entryPointArguments"]]
    return run_to_end([*spark_submit(at_home(conf, caller)), driver.__file__, *job], home, variables)


def refuse_windows(platform: str) -> None:
    """Refuse to run on Windows, where the archive's interpreter, which is one of Linux or macOS, cannot.

    Raises:
        DeployError: The platform, as in sys.platform, is Windows.
    """
    if platform == "win32":
        raise DeployError("run-local does not work on Windows: run it in WSL. Packing and submitting do.")


def spark_submit(conf: Mapping[str, str]) -> list[str]:
    """Return the command up to the script."""
    settings = [f"{key}={value}" for key, value in conf.items() if not key.startswith(_DRIVER_ENV)]
    flags = [word for text in settings for word in ("--conf", text)]
    return [str(spark_home() / "bin" / "spark-submit"), "--master", MASTER, *flags]


def at_home(conf: Mapping[str, str], caller: Path) -> dict[str, str]:
    """Return the configuration that makes the driver's JVM resolve relative paths in the caller's folder.

    Its actual working directory remains the empty one, in which the JVM starts ./environment/bin/python.
    """
    key = "spark.driver.extraJavaOptions"
    return {**conf, key: f'"-Duser.dir={caller}" {conf.get(key, "")}'.strip()}


def prove_interpreters(submit: Sequence[str], home: Path, environ: Mapping[str, str]) -> None:
    """Determine, in a run of its own, which interpreters the driver and the executors use.

    Args:
        submit: The command up to the script.
        home: The working directory.
        environ: The environment variables of spark-submit.

    Raises:
        DeployError: One of them does not use the archive's interpreter and packages.
    """
    file, log = home.with_name("probe.json"), home.with_name("probe.log")
    # Until the executors have registered, Spark postpones a barrier stage, by default 40 times by 15 seconds. A busy
    # machine takes a minute to start them.
    check = "spark.scheduler.barrier.maxConcurrentTasksCheck"
    flags = ["--conf", f"{check}.interval=1s", "--conf", f"{check}.maxFailures={_MOST_SECONDS_TO_START}"]
    command = [*submit, *flags, probe.__file__, "--spark", str(file), str(EXECUTORS)]
    with log.open("wb") as output:
        status = run_to_end(command, home, environ, output)
    if status or not file.exists():
        lines = [line for line in log.read_text(errors="replace").splitlines() if not line.startswith(_STACK)]
        raise DeployError(
            "\n".join(["Spark did not start with the archive. The end of its log:", *lines[-_LINES_SHOWN:]])
        )
    processes = json.loads(file.read_text())
    problems = [fault for process in processes for fault in probe.faults(process)]
    if problems:
        raise DeployError("\n".join(["Not all processes use the archive:", *problems]))
    print(
        f"run-local: driver and {len(processes) - 1} executors run on {describe_interpreter(processes[0])}",
        file=sys.stderr,
    )


def describe_interpreter(process: Mapping[str, Any]) -> str:
    """Return a line that describes the interpreter: its path in the archive, and the target of the link."""
    packages = ", ".join(
        f"{name} {package['version']}" for name, package in process["packages"].items() if package["version"]
    )
    return f"./{probe.ENVIRONMENT}/bin/python: Python {process['python']}, {packages}"


def sized_for_here(conf: Mapping[str, str]) -> dict[str, str]:
    """Return the configuration without the sizes of EMR's workers. What is omitted is printed."""
    left_out = [key for key in conf if _SIZES.fullmatch(key)]
    if left_out:
        print(f"run-local: omitted the sizes of EMR's workers: {', '.join(left_out)}", file=sys.stderr)
    return {key: value for key, value in conf.items() if key not in left_out}


def read_parameters(parameters: str) -> dict[str, str]:
    """Return the configuration in sparkSubmitParameters.

    Raises:
        DeployError: It contains something else.
    """
    words = shlex.split(parameters)
    pairs = [word.partition("=") for flag, word in zip(words[::2], words[1::2]) if flag == "--conf"]
    if len(pairs) * 2 != len(words):
        raise DeployError("run-local supports only --conf key=value in sparkSubmitParameters.")
    return {key: value for key, _, value in pairs}


def configured(request: Mapping[str, Any]) -> dict[str, str]:
    """Return Spark's configuration in the request's applicationConfiguration. What else it contains is printed."""
    configurations = request.get("configurationOverrides", {}).get("applicationConfiguration", [])
    left_out = [one["classification"] for one in configurations if one["classification"] != SPARK_DEFAULTS]
    left_out += ["executionIamPolicy"] if "executionIamPolicy" in request else []
    if left_out:
        print(f"run-local: omitted what only EMR understands: {', '.join(left_out)}", file=sys.stderr)
    return spark_defaults(configurations)


def localized(conf: Mapping[str, str], files: Mapping[str, Path]) -> dict[str, str]:
    """Return the configuration with local files in place of S3 URIs.

    Raises:
        DeployError: A file is in S3 only, which Spark cannot read on this machine.
    """
    lists = {kind.key: conf[kind.key].split(",") for kind in KINDS.values() if kind.key in conf}
    uri, hash_, name = conf["spark.archives"].rpartition("#")
    for needed in (uri, *(one for listed in lists.values() for one in listed if one.startswith("s3"))):
        if needed not in files:
            raise DeployError(f"There is no local file for {needed}: run-local reads no file from S3.")
    here = {key: ",".join(str(files.get(one, one)) for one in listed) for key, listed in lists.items()}
    return {**conf, **here, "spark.archives": f"{files[uri].resolve()}{hash_}{name}"}


def for_here(archive: Path, folder: Path) -> Path:
    """Return the archive, or a copy that links to this machine's Python of the same version, and print that.

    Args:
        archive: The archive.
        folder: Where a copy may be written.

    Raises:
        DeployError: This machine has no such Python.
    """
    with tarfile.open(archive) as opened:
        members = {member.name: member for member in opened}
    python = members.get("bin/python")
    if python is None or not python.linkname.startswith("/") or Path(python.linkname).exists():
        return archive
    version = Path(python.linkname).name
    found = interpreter_here(version)
    if found is None:
        raise DeployError(
            f"The archive needs {python.linkname}, and this machine has no {version}. Install one, pack for "
            "an existing interpreter (--python /usr/bin/python3.X), or include one (--self-contained)."
        )
    print(f"run-local: {found} stands in for {python.linkname}, which is not on this machine", file=sys.stderr)
    relink(archive, found, folder / archive.name)
    return folder / archive.name


def interpreter_here(name: str) -> Path | None:
    """Return this machine's interpreter with a name, python3.11: this process's own, or the first of PATH."""
    own = Path(sys.base_prefix, "bin", name)
    on_path = shutil.which(name)
    return own if own.exists() else Path(on_path).resolve() if on_path else None


def spark_beside(installed: Path, folder: Path) -> Path:
    """Return a home of Spark in a folder of ours, with links to the installed one.

    Executors of local-cluster unpack the archive below work in Spark's home, whatever SPARK_WORKER_DIR says. In the
    installation, that would stay, and its folder may not be writable.
    """
    home = folder / "spark"
    home.mkdir()
    for entry in installed.iterdir():
        if entry.name != "work":
            (home / entry.name).symlink_to(entry)
    return home


def environment(conf: Mapping[str, str], environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the environment of driver and spark-submit: the caller's variables they need, and the request's."""
    passed = {name: value for name, value in environ.items() if _PASSED_ON.fullmatch(name)}
    requested = {key[len(_DRIVER_ENV) :]: value for key, value in conf.items() if key.startswith(_DRIVER_ENV)}
    return {**passed, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", **requested}


def spark_home() -> Path:
    """Return the Spark installation of this environment.

    Raises:
        DeployError: There is none.
    """
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise DeployError(f"run-local needs Spark, which is not installed: pip install '{DISTRIBUTION}[spark]'")
    return Path(spec.origin).parent
