"""The command `pgjobs`: `pgjobs submit load_table ... -- <the job's own arguments>`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgjobs.cli.commands import JOBS, run
from pgjobs.cli.config import read_defaults
from pgjobs.cli.options import parse
from pgjobs.console import Console
from pgjobs.errors import INTERRUPTED, NOT_READ, WRONG_USAGE, DeployError

if TYPE_CHECKING:
    from pgjobs.aws import Clients

ALONE = {*JOBS, "", "help", "-h", "--help", "--version", "completion"}
"""First words of command lines for which pyproject.toml is not read."""


def main(arguments: Sequence[str], environ: Mapping[str, str], console: Console) -> int:
    """Run a command. Returns the exit status."""
    try:
        options = parse(arguments, {} if set(arguments[:1]) & ALONE else defaults(environ))
        # boto3 by itself reads only AWS_DEFAULT_REGION. AWS's other tools read this variable, too.
        region = options.region or environ.get("AWS_REGION", "")
        return run(options, lambda: connect(region, options.profile), replace(console, as_json=options.json))
    except DeployError as error:
        console.tell(f"error: {error}")
        return error.status
    except BrokenPipeError:  # `pgjobs logs RUN | head`: nobody reads on, also not what Python writes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), console.out.fileno())
        return NOT_READ
    except OSError as error:
        console.tell(f"error: {error}")
        return WRONG_USAGE
    except KeyboardInterrupt:
        console.tell("interrupted")
        return INTERRUPTED


def defaults(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the configured defaults of the flags.

    Raises:
        DeployError: The configuration is wrong.
    """
    pyproject = Path("pyproject.toml")
    text = pyproject.read_text(encoding="utf-8", errors="replace") if pyproject.exists() else ""
    return read_defaults(text, environ)


def connect(region: str, profile: str) -> Clients:
    """Create the clients of AWS. Commands that make no call do without boto3.

    Raises:
        DeployError: The profile does not exist, or no region is set.
    """
    from pgjobs import aws

    return aws.connect(region, profile)


def command(arguments: Sequence[str] | None = None) -> int:
    """Run the command `pgjobs`, by default with the arguments of this process."""
    return main(sys.argv[1:] if arguments is None else arguments, os.environ, Console())


if __name__ == "__main__":
    sys.exit(command())
