"""Defaults of the flags: PGJOBS_DEPLOY_* variables, else `[tool.pgjobs.deploy]` in ./pyproject.toml."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from pgjobs.errors import DeployError
from pgjobs.toml import read_toml

# Flag without its dashes -> the type of its value in the file. Tables and lists are for repeated flags:
# tag = { team = "data" }, jars = ["a.jar"].
KEYS: Mapping[str, type] = {
    "application-id": str,
    "role": str,
    "code": str,
    "archive": str,
    "name": str,
    "tag": dict,
    "conf": dict,
    "application-configuration": str,
    "py-files": list,
    "files": list,
    "jars": list,
    "execution-iam-policy": list,
    "logs": str,
    "log-key": str,
    "cloudwatch": bool,
    "log-group": str,
    "log-stream-prefix": str,
    "log-type": dict,
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
_SAID = {str: "a text", int: "a whole number", bool: "true or false", dict: "a table", list: "a list of texts"}


def read_defaults(pyproject: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the defaults by flag, without dashes. A table becomes a list of "key=value".

    Args:
        pyproject: The text of pyproject.toml; empty if it does not exist.
        environ: The environment variables.

    Raises:
        DeployError: A key is unknown, or a value has the wrong type.
    """
    return {**from_file(pyproject), **from_environment(environ)}


def from_file(pyproject: str) -> dict[str, Any]:
    """Return the defaults in the file.

    Raises:
        DeployError: The text is not TOML, a key is unknown, or a value has the wrong type.
    """
    try:
        table = read_toml(pyproject).get("tool", {}).get("pgjobs", {}).get("deploy", {})
    except ValueError as error:
        raise DeployError(f"pyproject.toml cannot be read: {error}.") from None
    if not isinstance(table, dict):
        raise DeployError("[tool.pgjobs.deploy] in pyproject.toml must be a table.")
    _refuse_unknown(table, "[tool.pgjobs.deploy] in pyproject.toml", lambda key: key)
    for key, value in table.items():
        if type(value) is not KEYS[key] or (isinstance(value, list) and not all(isinstance(one, str) for one in value)):
            raise DeployError(f"{key} under [tool.pgjobs.deploy] in pyproject.toml must be {_SAID[KEYS[key]]}.")
    return {
        key: [f"{name}={text}" for name, text in value.items()] if isinstance(value, dict) else value
        for key, value in table.items()
    }


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the defaults in the environment. Repeated flags are split like shell words: PGJOBS_DEPLOY_TAG="a=b c=d".

    Raises:
        DeployError: A variable is unknown, or a value has the wrong type.
    """
    given = {
        name[len(PREFIX) :].lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }
    _refuse_unknown(given, "the environment", variable)
    return {key: _parsed(key, text) for key, text in given.items()}


def variable(key: str) -> str:
    """Return the name of the variable for a key."""
    return PREFIX + key.upper().replace("-", "_")


def _parsed(key: str, text: str) -> Any:  # noqa: ANN401 - one of the types of KEYS
    kind = KEYS[key]
    try:
        if kind in (dict, list):
            return shlex.split(text)
        return {"1": True, "true": True, "0": False, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise DeployError(f"{variable(key)} must be {_SAID[kind]}.") from None


def _refuse_unknown(given: Mapping[str, Any], place: str, shown: Any) -> None:  # noqa: ANN401 - str -> str
    unknown = [shown(key) for key in given if key not in KEYS]
    if unknown:
        raise DeployError(f"{place} has unknown {', '.join(unknown)}. Known: {', '.join(map(shown, KEYS))}.")
