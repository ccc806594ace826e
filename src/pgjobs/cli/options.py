"""The command line of `pgjobs`: help, the parser with configured defaults, and the flags that a command requires."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any, NoReturn

from pgjobs.cli.command_flags import ADDING
from pgjobs.cli.commands import COMMANDS, HERE, JOBS, SERVERLESS
from pgjobs.cli.config import variable
from pgjobs.distribution import DISTRIBUTION
from pgjobs.errors import OK, WRONG_USAGE
from pgjobs.runs.log_rotation import SHOWN
from pgjobs.submit.run_modes import MODES

SHORTEST_GRACE, LONGEST_GRACE = 15, 1_800
"""Seconds; https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_CancelJobRun.html."""

STATUSES = """
exit status: 0 done, the run succeeded; 1 the run failed, or AWS refused; 2 wrong usage, nothing was submitted;
  3 the run was cancelled; 4 EMR ended it at --timeout-minutes; 5 --wait-minutes have passed; 130 interrupted
"""

EXAMPLES: Mapping[str, str] = {
    "submit": f"""
examples:
  pgjobs submit load_table --application-id 00f1abc --role arn:aws:iam::123456789012:role/jobs \\
      --code s3://bucket/code --logs s3://bucket/logs --wait \\
      -- --source s3://bucket/orders/ --table orders --load-id orders/1
  pgjobs submit load_table --dry-run -- ...     print the request without calling AWS

Flags have defaults in [tool.pgjobs.deploy] of ./pyproject.toml, and in variables such as PGJOBS_DEPLOY_ROLE.
{STATUSES}""",
    "completion": """
examples:
  pgjobs completion bash > ~/.local/share/bash-completion/completions/pgjobs
  pgjobs completion zsh > ~/.zfunc/_pgjobs       # where fpath has ~/.zfunc
""",
    "logs": STATUSES,
    "cancel": STATUSES,
}


RUNNING = ("submit", "request", "run-local")
"""Commands that run a job. Its own arguments come after --."""


class Parser(argparse.ArgumentParser):
    """Reports an error in two lines instead of the list of all flags, and suggests what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """Print the error, and where to look. Ends with status 2."""
        sys.stderr.write(f"error: {message}\nFor help: {self.prog} --help\n")
        raise SystemExit(WRONG_USAGE)

    def flags(self) -> list[str]:
        """Return all flags."""
        return [flag for action in self._actions for flag in action.option_strings]


def front_page() -> str:
    """Return the help of `pgjobs` itself: every command on one screen of 80 by 24."""
    lines = ["usage: pgjobs COMMAND ... | --version      pgjobs COMMAND --help lists its flags"]
    for group in (HERE, SERVERLESS):
        lines.append(f"{group}:")
        lines += [f"  {name:13} {one.meaning}" for name, one in COMMANDS.items() if one.group == group]
    return "\n".join([*lines, ""])


def parse(arguments: Sequence[str], defaults: Mapping[str, Any]) -> argparse.Namespace:
    """Return the options. Their `arguments` are those of the job: after `--`, or all that follow a job's command.

    Args:
        arguments: The words of the command line.
        defaults: The defaults by flag, without dashes.

    Raises:
        SystemExit: The command line is wrong, with status 2; or it asks for help.
    """
    first = arguments[0] if arguments else ""
    if first in JOBS:
        return argparse.Namespace(command=first, arguments=list(arguments[1:]), region="", profile="", json=False)
    if first in ("", "-h", "--help", "help"):
        (sys.stdout if first else sys.stderr).write(front_page())
        raise SystemExit(OK if first else WRONG_USAGE)
    parser = build_parser(defaults)
    if first.startswith("-") and first != "--version":
        parser.error(f"unrecognized: {first} (a command comes first)")
    if not first.startswith("-") and first not in COMMANDS:
        parser.error(f"there is no command {first!r}{meant(first, COMMANDS)}")
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    options, unknown = parser.parse_known_args(arguments[:end])
    options.arguments = list(arguments[end + 1 :])
    given = {word.partition("=")[0] for word in arguments[:end]}
    for fault in [*_faults(options, unknown), *_without_cloudwatch(options, given)]:
        options.parser.error(fault)
    return options


def meant(word: str, among: Iterable[str]) -> str:
    """Return a question for a word that is almost one of these; an empty text if it is none."""
    close = get_close_matches(word, list(among), n=1, cutoff=0.75)
    return f": did you mean {close[0]}?" if close else ""


def _faults(options: argparse.Namespace, unknown: Sequence[str]) -> Iterator[str]:
    """Yield the errors in the options. argparse does not check configured values."""
    if unknown:
        close = next(filter(None, (meant(word.partition("=")[0], options.parser.flags()) for word in unknown)), "")
        own = " (the job's own arguments come last, after --)" if hasattr(options, "entry") and not close else ""
        yield f"unrecognized: {' '.join(unknown)}{close}{own}"
    if options.arguments and not hasattr(options, "entry"):
        yield f"{options.command} accepts no arguments of a job"
    required = ("application-id", "role", "code") if options.command in ("submit", "request") else ("application-id",)
    missing = [flag for flag in required if not getattr(options, flag.replace("-", "_"), "not a flag of it")]
    if missing:
        flags = ", ".join(f"--{flag} ({variable(flag)})" for flag in missing)
        yield f"missing: {flags}. Give the flag, set the variable, or add it to [tool.pgjobs.deploy] in pyproject.toml"
    for flag, allowed in (("mode", MODES), ("show", SHOWN)):
        if getattr(options, flag, next(iter(allowed))) not in allowed:
            yield f"--{flag} must be one of {', '.join(allowed)}"
    for flag, least in (("wait-minutes", 0), ("attempt", 1), ("executor", 0)):
        number = getattr(options, flag.replace("-", "_"), None)
        if number is not None and number < least:
            yield f"--{flag} must be at least {least}"
    grace = getattr(options, "grace", 0)
    if grace and not SHORTEST_GRACE <= grace <= LONGEST_GRACE:
        yield f"--grace must be 0, or from {SHORTEST_GRACE} to {LONGEST_GRACE}"
    if getattr(options, "follow", False) and (options.attempt or options.executor is not None):
        yield "--follow shows all attempts of the driver: omit --attempt and --executor"


def _without_cloudwatch(options: argparse.Namespace, given: set[str]) -> Iterator[str]:
    """Yield an error for flags about logs in CloudWatch where none go there. Configured values do no harm."""
    about = sorted(given & {"--log-group", "--log-stream-prefix", "--log-type"})
    if about and not options.cloudwatch:
        yield f"{', '.join(about)} is for CloudWatch: add --cloudwatch"


def build_parser(defaults: Mapping[str, Any]) -> Parser:
    """Return the parser of the command line. The words after `--` belong to the job."""
    parser = Parser(prog="pgjobs", usage="pgjobs COMMAND ...", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"pgjobs {version(DISTRIBUTION)}")
    commands = parser.add_subparsers(prog="pgjobs", dest="command", required=True, metavar="COMMAND")
    for name, add_flags in ADDING.items():
        meaning = COMMANDS[name].meaning
        command = commands.add_parser(
            name,
            help=meaning,
            usage=f"pgjobs {name} ENTRY [FLAG]... [-- ARGUMENT OF THE JOB]..." if name in RUNNING else None,
            description=f"{meaning[0].upper()}{meaning[1:]}.",
            epilog=EXAMPLES.get(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add_flags(command)
        command.set_defaults(parser=command, region="", profile="", json=False)
        _set_defaults(command, defaults)
    for name in JOBS:  # so that a shell completes them, too
        commands.add_parser(name, help=COMMANDS[name].meaning, add_help=False, allow_abbrev=False)
    return parser


def _set_defaults(command: argparse.ArgumentParser, defaults: Mapping[str, Any]) -> None:
    """Replace the defaults of the command's flags by configured values."""
    known = {action.dest for action in command._actions}  # noqa: SLF001 - argparse has no public list of its flags
    named = {key.replace("-", "_"): value for key, value in defaults.items()}
    command.set_defaults(**{name: value for name, value in named.items() if name in known})
