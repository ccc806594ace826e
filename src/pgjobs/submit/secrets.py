"""Finds passwords in a submission: GetJobRun, Spark's UI and the event log would show them.

Names and values are judged. A name is that of a secret if its last word says so: `--db-password`, `PGPASS`,
`fs.s3a.secret.key`. It is not if the last word names something else: `--password-secret-id`, `credentials.provider`.
A value is a secret by its form: a URL with a password, `password=x` within a longer text, a private key, a signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

_SECRET_WORD = re.compile(
    r"\w*(password|passwd|passphrase|pwd|secret|token|credentials?|apikey|signature)|pass|pw|pgpass", re.IGNORECASE
)
"""The last word of a name. `pass` must be a whole word, unlike in bypass and compass."""

_KINDS_OF_KEY = {"secret", "private", "api", "signing"}
"""At most two words before `key` that make it a secret: AWS_SECRET_ACCESS_KEY, fs.s3a.secret.key."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_FORMS = (
    # A URL's user and password. A port and a path (h:80/a@b) are not a password.
    ("a URL", re.compile(r"://[^/\s:@]*:(?!\d*(/|$))[^\s@]+@")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("an authorization", re.compile(r"\bAuthorization[\"']?\s*[:=]\s*\S", re.IGNORECASE)),
)

_PAIR = re.compile(
    r"""(?<![\w.])(?:-D|-+)?(?P<quote>["']?)(?P<name>[A-Za-z_][\w.-]*)(?P=quote)  # password, -Djavax.x.password
        (?:=|(?<=["'])\s*:)                                                       # =, or JSON's colon
        \s*(?P<value>"[^"]*"|'[^']*'|[^\s"'&;,}]*)""",
    re.VERBOSE,
)
_CONNINFO = re.compile(r"\s*=\s*")

_REFERENCE = re.compile(r"EMR\.secret@.+|arn:aws[\w-]*:(secretsmanager|ssm|kms|iam):.+")
"""EMR's reference to a secret by its name, and AWS's names of resources. These show no secret."""

_SWITCH = re.compile(r"true|false|\d?", re.IGNORECASE)
_PATH = re.compile(r"(/|\./|s3a?://|file:)\S*")
_OFTEN_A_FILE = re.compile(r"(\w*(credentials?|token)|key)", re.IGNORECASE)


def secret_places(arguments: Sequence[str], values: Mapping[str, str]) -> Iterator[str]:
    """Return the places that seem to contain a secret; never their values.

    Args:
        arguments: The job's own arguments.
        values: The other visible values, by place: {"--conf spark.x": "..."}. The last word of a place is the value's
            name.
    """
    for number, (text, following) in enumerate(zip_longest(arguments, arguments[1:], fillvalue=""), 1):
        if text.startswith("-") and "=" not in text and not _is_flag(following) and _is_secret(text, following):
            yield f"argument {number + 1}, the value of {text},"
        elif secret := _secret_in(text):
            yield f"argument {number} ({secret})"
    for place, text in values.items():
        secret = _secret_in(text)
        if secret or _is_secret(place.rpartition(" ")[2], text):
            yield f"{place} ({secret})" if secret else place


def _is_flag(text: str) -> bool:
    """Return whether an argument is the next flag, so that the one before has no value."""
    return re.fullmatch(r"--[A-Za-z][\w-]*(=.*)?|-[A-Za-z]|", text, re.DOTALL) is not None


def _secret_in(text: str) -> str:
    """Return what in a text is a secret by its form: "a URL", or the name of a value; empty if nothing is."""
    for description, form in _FORMS:
        if form.search(text):
            return description
    for pair in _PAIR.finditer(_CONNINFO.sub("=", text) if _is_conninfo(text) else text):
        if _is_secret(pair["name"], pair["value"].strip("\"'")):
            return pair["name"]
    return ""


def _is_conninfo(text: str) -> bool:
    """Return whether a text is libpq's key = value key = value, with optional blanks around =. SQL is not."""
    return re.fullmatch(r"(\s*\w+\s*=\s*('[^']*'|\S+))+\s*", text) is not None


def _is_secret(name: str, value: str) -> bool:
    """Return whether a value is a secret because of its name."""
    word = _secret_word(name)
    if not word or _SWITCH.fullmatch(value) or _REFERENCE.fullmatch(value):
        return False
    return not (_OFTEN_A_FILE.fullmatch(word) and _PATH.fullmatch(value))


def _secret_word(name: str) -> str:
    """Return the last word of a name if it says that the value is a secret; otherwise an empty text."""
    words = _WORDS.findall(name)
    if not words:
        return ""
    if words[-1].lower() == "key" and _KINDS_OF_KEY & {word.lower() for word in words[-3:-1]}:
        return "key"
    return words[-1] if _SECRET_WORD.fullmatch(words[-1]) else ""
