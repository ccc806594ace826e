"""Runs a StartJobRun request on this machine: the same archive, script, parameters and arguments, on local-cluster.

Executors are processes of their own, everything starts in an empty working directory, and nothing is visible to driver
and executors but the archive's packages and Spark. Both must report the archive's interpreter.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tarfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deploy.errors import DeployError
from deploy.request import ENVIRONMENT

MASTER = "local-cluster[2,1,1024]"
"""Two executors of one core and 1024 MB each."""

_DRIVER_ENV = "spark.emr-serverless.driverEnv."

# What spark-submit needs of the caller's environment. Nothing else passes, Python's variables least of all.
_PASSED_ON = re.compile(r"PATH|HOME|LANG|LC_\w+|TZ|JAVA_HOME|PG\w+|AIRFLOW_CONN_\w+|DATABASE_URL|AWS_\w+")


def run_local(request: Mapping[str, Any], files: Mapping[str, Path], folder: Path, environ: Mapping[str, str]) -> int:
    """Run the request; the exit status of spark-submit.

    Args:
        request: as StartJobRun takes it.
        files: the local file for each S3 URI in it.
        folder: an empty folder to work in.
        environ: the caller's environment.

    Raises:
        DeployError: a file is missing, or this machine lacks the archive's interpreter.
    """
    spark = request["jobDriver"]["sparkSubmit"]
    conf = localized(read_parameters(spark["sparkSubmitParameters"]), files)
    archive = Path(conf["spark.archives"].rpartition("#")[0])
    unpack(archive, folder / ENVIRONMENT)
    command = [str(spark_home() / "bin" / "spark-submit"), "--master", MASTER]
    command += [
        flag for key, value in conf.items() if not key.startswith(_DRIVER_ENV) for flag in ("--conf", f"{key}={value}")
    ]
    command += [str(files[spark["entryPoint"]]), *spark["entryPointArguments"]]
    return subprocess.run(command, cwd=folder, env=environment(conf, environ, folder), check=False).returncode


def read_parameters(parameters: str) -> dict[str, str]:
    """The configuration in sparkSubmitParameters.

    Raises:
        DeployError: something else stands there.
    """
    words = shlex.split(parameters)
    pairs = [word.partition("=") for flag, word in zip(words[::2], words[1::2]) if flag == "--conf"]
    if len(pairs) * 2 != len(words):
        raise DeployError("run-local understands --conf key=value alone in sparkSubmitParameters.")
    return {key: value for key, _, value in pairs}


def localized(conf: Mapping[str, str], files: Mapping[str, Path]) -> dict[str, str]:
    """The configuration with local files in place of S3 URIs."""
    uri, hash_, name = conf["spark.archives"].rpartition("#")
    if uri not in files:
        raise DeployError(f"There is no local file for {uri}.")
    return {**conf, "spark.archives": f"{files[uri]}{hash_}{name}"}


def unpack(archive: Path, target: Path) -> None:
    """Unpack the archive for the driver, as EMR does; Spark itself unpacks it for the executors.

    Raises:
        DeployError: its interpreter is not on this machine.
    """
    with tarfile.open(archive) as opened:
        opened.extractall(target)  # noqa: S202 - its paths were checked when it was made
    interpreter = target / "bin" / "python"
    if not interpreter.exists():
        raise DeployError(
            f"The archive wants {interpreter.readlink()}, which this machine does not have. "
            "Build one for an interpreter that is here: --python /usr/bin/python3.X"
        )


def environment(conf: Mapping[str, str], environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What driver and spark-submit see: what they need of the caller's, and the request's own variables."""
    passed = {name: value for name, value in environ.items() if _PASSED_ON.fullmatch(name)}
    told = {key[len(_DRIVER_ENV) :]: value for key, value in conf.items() if key.startswith(_DRIVER_ENV)}
    work = {"SPARK_HOME": str(spark_home()), "SPARK_WORKER_DIR": str(folder / "work"), "SPARK_LOCAL_IP": "127.0.0.1"}
    return {**passed, **work, **told}


def spark_home() -> Path:
    """The Spark of this environment.

    Raises:
        DeployError: there is none.
    """
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise DeployError("There is no Spark here: run make setup.")
    return Path(spec.origin).parent
