"""The command completion: prints a script with which a shell completes commands and flags of `pgjobs`."""

from __future__ import annotations

import argparse

from pgjobs.cli.commands import Connect
from pgjobs.cli.options import build_parser
from pgjobs.console import Console
from pgjobs.errors import OK


def completion(options: argparse.Namespace, connect: Connect, console: Console) -> int:
    """Print the script."""
    del connect
    import shtab

    console.print(str(shtab.complete(build_parser({}), options.shell)))
    return OK
