"""Which of the needed programs this machine has."""

from __future__ import annotations

import platform
import shutil
import subprocess

import pyspark

from chaos.plan.flows import FLOWS, POOLER_FAULTS
from chaos.stage import clock, pooler
from servermgr import binaries

_PGCOPY_SINCE = 4


def lacking() -> dict[str, str]:
    """Return the jobs and faults that are impossible here, each with the reason."""
    missing = {}
    if int(pyspark.__version__.partition(".")[0]) < _PGCOPY_SINCE:
        missing.update({flow: "Spark 3.5 has no data sources in Python" for flow in FLOWS if flow.startswith("pgcopy")})
    if pooler.PROGRAM is None:
        missing.update(dict.fromkeys(POOLER_FAULTS, "there is no pgbouncer: apt install pgbouncer"))
    if clock.library() is None:
        missing["clock jumps"] = "there is no libfaketime: apt install libfaketime"
    if shutil.which("prlimit") is None:
        missing["fill disk"] = "there is no prlimit of util-linux"
    return missing


def versions() -> str:
    """Return the versions that are tested."""
    postgres = binaries.find().bin / "postgres"
    output = subprocess.run([str(postgres), "--version"], capture_output=True, text=True, check=True).stdout
    server = " ".join(output.split()[1:3]).replace("(PostgreSQL)", "PostgreSQL")
    return f"{server}, PySpark {pyspark.__version__}, Python {platform.python_version()}"
