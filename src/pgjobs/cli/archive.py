"""The command line of the archive: builds it, and checks it.

python -m pgjobs.cli.archive build  [--release emr-spark-8.1.0] [--arch x86_64|arm64] [--with PACKAGE]...
[--requirements FILE]... [--self-contained [--python 3.12]] [--output DIR]
python -m pgjobs.cli.archive verify dist/pyspark_venv.tar.gz [--release ...] [--arch ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pgjobs.archive.build import OURS, ROOT, Extras, build, complain
from pgjobs.archive.inspection import carried_version, inspect_archive
from pgjobs.archive.releases import ARCHITECTURES, DEFAULT_RELEASE
from pgjobs.archive.target import target_for
from pgjobs.checks.verification import compare
from pgjobs.errors import DeployError


def main(arguments: Sequence[str] | None = None) -> int:
    """Build or verify. Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "verify":
            return _verify(options)
        carried = options.self_contained or options.interpreter is not None
        target = target_for(options.release, options.arch, options.python, carried=carried)
        extras = Extras(options.extras, options.requirements)
        archive = build(target, options.output, extras, options.interpreter, partial(print, file=sys.stderr))
    except (DeployError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{archive}  {archive.stat().st_size / 1e6:.2f} MB for {target.release}, {target.architecture}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    """Check an archive, including whether it contains an interpreter. Returns the exit status.

    Raises:
        DeployError: The archive does not pass.
    """
    version = carried_version(options.file)
    target = target_for(options.release, options.arch, version or options.python, carried=version is not None)
    complain(inspect_archive(options.file, target, with_extras=True))
    compared = compare(options.file, ROOT, OURS)
    complain(compared.findings)
    carried = " of its own" if target.carried else ""
    print(f"{options.file} is good for {target.release}: {target.interpreter}{carried}, {target.architecture}")
    print("".join(f"{line}\n" for line in compared.notes), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pgjobs.cli.archive", description="Pack and check the venv archive."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="make dist/pyspark_venv.tar.gz and its manifest")
    builder.add_argument(
        "--with", dest="extras", action="append", default=[], metavar="PACKAGE", help="pack it, too: a name, or a wheel"
    )
    builder.add_argument(
        *("--requirements", "-r"),
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="also pack what this file pins by hash",
    )
    builder.add_argument(
        "--self-contained", action="store_true", help="include an interpreter; hides the image's packages"
    )
    builder.add_argument(
        "--interpreter", type=Path, metavar="DIR", help="include this one, a python-build-standalone for the target"
    )
    builder.add_argument("--output", type=Path, default=Path("dist"), help="folder (default: dist)")
    verifier = commands.add_parser("verify", help="check an archive")
    verifier.add_argument("file", type=Path)
    for command in (builder, verifier):
        command.add_argument("--release", default=DEFAULT_RELEASE, help=f"default: {DEFAULT_RELEASE}")
        command.add_argument("--arch", choices=ARCHITECTURES, default="x86_64", help="default: x86_64")
        command.add_argument("--python", metavar="PYTHON", help="another interpreter of the image; to include: 3.12")
    return parser


if __name__ == "__main__":
    sys.exit(main())
