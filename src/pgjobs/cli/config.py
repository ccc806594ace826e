"""Defaults for the flags: `[tool.pgjobs.deploy]` in ./pyproject.toml, and above it PGJOBS_DEPLOY_* variables."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any

from pgjobs.errors import DeployError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# A flag without its dashes -> the type of its value in the file. Tables are flags that repeat: tag = { team = "data" }.
KEYS: Mapping[str, type] = {
    "application-id": str,
    "role": str,
    "code": str,
    "archive": str,
    "name": str,
    "tag": dict,
    "conf": dict,
    "logs": str,
    "log-key": str,
    "cloudwatch": bool,
    "log-group": str,
    "managed-logs": bool,
    "prometheus": str,
    "retries": int,
    "timeout-minutes": int,
    "mode": str,
    "region": str,
    "profile": str,
    "wait-minutes": int,
    "grace": int,
    "show": str,
}
PREFIX = "PGJOBS_DEPLOY_"
_SAID = {str: "a text", int: "a whole number", bool: "true or false", dict: "a table"}


def read_defaults(pyproject: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """The defaults by flag (without its dashes); of tables, a list of "key=value".

    Args:
        pyproject: the text of pyproject.toml; empty where there is none.
        environ: the environment.

    Raises:
        DeployError: a key is not known, or a value is of the wrong type.
    """
    return {**from_file(pyproject), **from_environment(environ)}


def from_file(pyproject: str) -> dict[str, Any]:
    """What the file says.

    Raises:
        DeployError: it is no TOML, a key is not known, or a value is of the wrong type.
    """
    try:
        table = tomllib.loads(pyproject).get("tool", {}).get("pgjobs", {}).get("deploy", {})
    except tomllib.TOMLDecodeError as error:
        raise DeployError(f"pyproject.toml cannot be read: {error}.") from None
    if not isinstance(table, dict):
        raise DeployError("[tool.pgjobs.deploy] in pyproject.toml must be a table.")
    _refuse_unknown(table, "[tool.pgjobs.deploy] in pyproject.toml", lambda key: key)
    for key, value in table.items():
        if type(value) is not KEYS[key]:
            raise DeployError(f"{key} under [tool.pgjobs.deploy] in pyproject.toml must be {_SAID[KEYS[key]]}.")
    return {
        key: [f"{name}={text}" for name, text in value.items()] if isinstance(value, dict) else value
        for key, value in table.items()
    }


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """What the environment says; of repeated flags, words as in a shell: PGJOBS_DEPLOY_TAG="team=data stage=test".

    Raises:
        DeployError: a variable is not known, or a value is of the wrong type.
    """
    given = {
        name[len(PREFIX) :].lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }
    _refuse_unknown(given, "the environment", variable)
    return {key: _parsed(key, text) for key, text in given.items()}


def variable(key: str) -> str:
    """The variable of a key."""
    return PREFIX + key.upper().replace("-", "_")


def _parsed(key: str, text: str) -> Any:  # noqa: ANN401 - one of the types of KEYS
    kind = KEYS[key]
    try:
        if kind is dict:
            return shlex.split(text)
        return {"1": True, "true": True, "0": False, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise DeployError(f"{variable(key)} must be {_SAID[kind]}.") from None


def _refuse_unknown(given: Mapping[str, Any], place: str, shown: Any) -> None:  # noqa: ANN401 - str -> str
    unknown = [shown(key) for key in given if key not in KEYS]
    if unknown:
        raise DeployError(f"{place} has unknown {', '.join(unknown)}. Known: {', '.join(map(shown, KEYS))}.")
