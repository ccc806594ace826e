"""The command `pgjobs`: `pgjobs submit load_table ... -- <the job's own arguments>`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pgjobs.aws import connect
from pgjobs.cli.commands import run
from pgjobs.cli.config import read_defaults
from pgjobs.cli.options import parse
from pgjobs.console import Console
from pgjobs.errors import INTERRUPTED, WRONG_USAGE, DeployError


def main(arguments: Sequence[str], environ: Mapping[str, str], console: Console) -> int:
    """Run a command. Returns the exit status."""
    try:
        pyproject = Path("pyproject.toml")
        defaults = read_defaults(
            pyproject.read_text(encoding="utf-8", errors="replace") if pyproject.exists() else "", environ
        )
        options = parse(arguments, defaults)
        # boto3 by itself reads only AWS_DEFAULT_REGION. AWS's other tools read this variable, too.
        region = options.region or environ.get("AWS_REGION", "")
        return run(options, lambda: connect(region, options.profile), console)
    except DeployError as error:
        console.tell(f"error: {error}")
        return error.status
    except OSError as error:
        console.tell(f"error: {error}")
        return WRONG_USAGE
    except KeyboardInterrupt:
        console.tell("interrupted")
        return INTERRUPTED


def command() -> int:
    """Run the command `pgjobs`."""
    return main(sys.argv[1:], os.environ, Console())


if __name__ == "__main__":
    sys.exit(command())
