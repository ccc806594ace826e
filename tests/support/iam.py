"""What IAM decides: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html.

As much of it as this project's policies use. What is not known here raises, lest a policy pass unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """An action on a resource, and what else conditions ask for."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)

    def with_context(self, **more: str) -> Request:
        """The same with more context; `aws__SecureTransport` is `aws:SecureTransport`."""
        named = {name.replace("__", ":"): value for name, value in more.items()}
        return Request(self.action, self.resource, {**self.context, **named})


def is_allowed(request: Request, *policies: Sequence[Statement]) -> bool:
    """Whether one of these statements allows it, and none denies it."""
    effects = {statement["Effect"] for policy in policies for statement in policy if applies(statement, request)}
    return effects == {"Allow"}


def applies(statement: Statement, request: Request) -> bool:
    """Whether a statement is about this request."""
    unread = set(statement) - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    assert not unread, unread
    assert statement.get("Principal", "*") == "*", "others are not read"
    return (
        any(is_like(action, request.action) for action in as_list(statement["Action"]))
        and any(is_like(resource, request.resource) for resource in as_list(statement["Resource"]))
        and all(
            _holds(operator, as_list(wanted), request.context.get(key))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def grants(statements: Sequence[Statement]) -> Iterator[Statement]:
    """Each action on each resource that is allowed, as a statement of its own."""
    for statement in statements:
        if statement["Effect"] == "Allow":
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    yield {**statement, "Action": action, "Resource": resource}


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - IAM takes one, or a list
    return value if isinstance(value, list) else [value]


def is_like(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern has it, in which * and ? are wildcards."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _holds(operator: str, wanted: Sequence[str], actual: str | None) -> bool:
    if operator == "Null":
        return (actual is None) == (wanted == ["true"])
    return actual is not None and any(_OPERATORS[operator](each, actual) for each in wanted)


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "Bool": str.__eq__,
    "ArnEquals": is_like,
    "StringLike": is_like,
}
