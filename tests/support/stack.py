"""A CloudFormation template as it is when a stack has been made of it: parameters, conditions and names filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NOTHING = object()


def stack(template: Mapping[str, Any], parameters: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    """The resources that there are.

    Args:
        template: the parsed template.
        parameters: what is given for its parameters; the others have their defaults.
        names: what pseudo parameters, resources (`Bucket`) and their attributes (`Bucket.Arn`) are called.
    """
    filler = _filler(template, parameters, names)
    return {name: filler.fill(body) for name, body in template["Resources"].items() if filler.makes(body)}


def outputs(template: Mapping[str, Any], parameters: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """What the stack puts out. The arguments are those of `stack`."""
    filler = _filler(template, parameters, names)
    return {name: filler.fill(body["Value"]) for name, body in template["Outputs"].items() if filler.makes(body)}


def _filler(template: Mapping[str, Any], parameters: Mapping[str, str], names: Mapping[str, str]) -> _Filler:
    given: dict[str, Any] = {}
    for name, body in template["Parameters"].items():
        value = parameters[name] if name in parameters else str(body["Default"])
        given[name] = value.split(",") if body["Type"].startswith(("List<", "CommaDelimitedList")) else value
    unknown = set(parameters) - set(given)
    assert not unknown, unknown
    resources = template["Resources"]
    filler = _Filler(template["Conditions"], {**{name: name for name in resources}, **given, **names})
    for name, body in resources.items():
        if not filler.makes(body):
            filler.forget(name)
    return filler


class _Filler:
    def __init__(self, conditions: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        self._conditions, self._known = conditions, dict(known)

    def makes(self, body: Mapping[str, Any]) -> bool:
        """Whether there is a resource or an output."""
        return "Condition" not in body or self.holds(body["Condition"])

    def forget(self, name: str) -> None:
        """What is not made has no name: CloudFormation refuses a stack that refers to it, and here it is a KeyError."""
        self._known = {path: value for path, value in self._known.items() if path.partition(".")[0] != name}

    def holds(self, name: str) -> bool:
        return bool(self.fill(self._conditions[name]))

    def fill(self, value: Any) -> Any:  # noqa: ANN401 - any part of a template
        if isinstance(value, list):
            return [filled for filled in map(self.fill, value) if filled is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function in _FUNCTIONS:
                return _FUNCTIONS[function](self, argument)
        filled = {name: self.fill(part) for name, part in value.items()}
        return {name: part for name, part in filled.items() if part is not _NOTHING}

    def reference(self, name: str) -> Any:  # noqa: ANN401 - lists are parameters, too
        return _NOTHING if name == "AWS::NoValue" else self._known[name]

    def attribute(self, path: Any) -> str:  # noqa: ANN401 - YAML's short form is a list or a text
        return str(self._known[path if isinstance(path, str) else ".".join(path)])

    def substitute(self, argument: Any) -> str:  # noqa: ANN401 - a text, or a text and names of its own
        text, own = (argument, {}) if isinstance(argument, str) else argument
        known = {**self._known, **{name: self.fill(value) for name, value in own.items()}}
        return re.sub(r"\$\{([^}]+)\}", lambda found: str(known[found[1]]), text)

    def choose(self, argument: list[Any]) -> Any:  # noqa: ANN401 - any part of a template
        condition, then, otherwise = argument
        return self.fill(then if self.holds(condition) else otherwise)


_FUNCTIONS: Mapping[str, Any] = {
    "Ref": _Filler.reference,
    "Fn::GetAtt": _Filler.attribute,
    "Fn::Sub": _Filler.substitute,
    "Fn::If": _Filler.choose,
    "Condition": _Filler.holds,
    "Fn::Split": lambda filler, pair: filler.fill(pair[1]).split(pair[0]),
    "Fn::Equals": lambda filler, pair: filler.fill(pair[0]) == filler.fill(pair[1]),
    "Fn::Not": lambda filler, one: not filler.fill(one[0]),
    "Fn::And": lambda filler, several: all(filler.fill(several)),
    "Fn::Or": lambda filler, several: any(filler.fill(several)),
}
