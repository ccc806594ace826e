"""The messages of a login in order: a server that omits one has not proved what it must.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
"""

from __future__ import annotations

import re
import struct
import sys

from jobs.dbaccess.errors import DatabaseError, broken_protocol
from jobs.dbaccess.network.messages import AUTHENTICATION, ERROR, KEY, READY

_CODE = struct.Struct("!i")
_OK, _PASSWORD, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12

# The valid successors of each message. Initially, any message but an answer. After SCRAM has begun, the server must
# also prove that it knows the password, which its last message does.
_NEXT: dict[int | None, tuple[int, ...]] = {
    None: (_OK, _PASSWORD, _MD5, _SASL),
    _PASSWORD: (_OK,),
    _MD5: (_OK,),
    _SASL: (_SASL_CONTINUE,),
    _SASL_CONTINUE: (_SASL_FINAL,),
    _SASL_FINAL: (_OK,),
    _OK: (),
}
_BODIES = {_OK: r"", _PASSWORD: r"", _MD5: r".{4}", _SASL: r"([!-~]+\0)+\0", _SASL_CONTINUE: r"[ -~]+"}
_BODIES[_SASL_FINAL] = _BODIES[_SASL_CONTINUE]
_FORMS = {code: re.compile(body.encode(), re.DOTALL) for code, body in _BODIES.items()}

_FOREIGN = {2: "Kerberos V5", 7: "GSSAPI", 9: "SSPI"}
_MECHANISMS = frozenset({b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS"})

MOST_ROUNDS = 1_000_000 if sys.version_info >= (3, 11) else 100_000
"""The maximum iterations of SCRAM that are computed for a server, in about a second. PostgreSQL's default is 4,096.

For Python 3.9 and 3.10, the only available scramp (pg8000 1.31.5 pins it) computes them in Python.
"""

LONGEST = 1 << 22
"""The maximum bytes that a server may send before it is ready."""


class LoginSteps:
    """The progress of a login.

    Attributes:
        done: Whether the server is ready for statements.
        wants_password: Whether the server has asked for a password.
    """

    def __init__(self) -> None:
        self.done = False
        self.wants_password = False
        self._last: int | None = None

    def take(self, kind: bytes, body: bytes) -> None:
        """Process the next message.

        Raises:
            ProtocolBroken: It is not valid at this point.
            DatabaseError: The server requires a kind of login that is not supported.
        """
        if kind == AUTHENTICATION:
            self._authenticate(body)
        elif kind == READY and self._last == _OK:
            self.done = True
        elif not (kind == ERROR or (kind == KEY and self._last == _OK)):
            raise broken_protocol(f"a message of the kind {kind!r} came in the middle of the login")

    def _authenticate(self, body: bytes) -> None:
        code = _CODE.unpack_from(body)[0] if len(body) >= _CODE.size else -1
        if code in _FOREIGN and self._last is None:
            raise DatabaseError(
                f"The server requires a login by {_FOREIGN[code]}, which is not supported here.",
                "Set scram-sha-256 for this user in pg_hba.conf.",
            )
        if code not in _NEXT[self._last]:
            raise broken_protocol(f"step {code} of a login came after step {self._last}")
        rest = body[_CODE.size :]
        if not _FORMS[code].fullmatch(rest):
            raise broken_protocol(f"step {code} of the login is not formed as such")
        if code == _SASL:
            _check_mechanisms(rest)
        if code == _SASL_CONTINUE:
            _check_rounds(rest)
        self.wants_password |= code != _OK
        self._last = code


def _check_mechanisms(rest: bytes) -> None:
    unknown = set(rest[:-2].split(b"\0")) - _MECHANISMS
    if unknown:
        names = b", ".join(sorted(unknown)).decode()
        raise DatabaseError(f"The server requires a login by {names[:100]}.", "Configure scram-sha-256 there.")


def _check_rounds(rest: bytes) -> None:
    rounds = re.search(rb",i=(\d+)", rest)
    if rounds and (len(rounds[1]) > len(str(MOST_ROUNDS)) or int(rounds[1]) > MOST_ROUNDS):
        raise DatabaseError(
            f"The server demands more than {MOST_ROUNDS:,} iterations of SCRAM.",
            "If it is your server, lower scram_iterations and set the password again.",
        )
