"""A server that says what no PostgreSQL says gets one clear line of an error, in bounded time and memory."""

from __future__ import annotations

import base64
import io
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hostile import (
    IN_TRANSACTION,
    INTEGER,
    KEY,
    READY,
    TEXT,
    WELCOME,
    Client,
    authentication,
    complete,
    described,
    error,
    message,
    of_length,
    parameter,
    row,
    scripted,
)
from peers import answering, peer

from jobs.dbaccess.conninfo.settings import Server, Settings, StaticPassword, Timeouts, Tls
from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, ProtocolBroken, TlsFailed
from jobs.dbaccess.network import login
from jobs.dbaccess.network.messages import LONGEST_ERROR, Reader
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

SECRET = "pl4nted"
TIMEOUT, PATIENT = 0.5, 60.0
"""Seconds for a login: where it is to be given up for that, and where it ends by what the server says."""

LONGEST = 50.0
"""Seconds for all that a hostile server is to be granted here; the machine may be busy."""

GIGABYTE = 1 << 30
Script = Callable[[Client], None]


@contextmanager
def connected(script: Script, timeout: float = PATIENT) -> Iterator[Session]:
    """A session with a server that follows a script."""
    with peer(scripted(script)) as port:
        there = (Server("127.0.0.1", port),)
        timeouts = Timeouts(connect_timeout=timeout, deadline=0)
        settings = Settings("d", "u", there, StaticPassword(SECRET), Tls("disable"), timeouts=timeouts)
        with connect(settings, "t") as session:
            yield session


def refusal(
    script: Script, do: Callable[[Session], object] = lambda _: None, timeout: float = PATIENT
) -> DatabaseError:
    """How what is done with a server fails: soon, by an error of ours, on one line, and with no secret."""
    start = time.monotonic()
    with pytest.raises(DatabaseError) as caught, connected(script, timeout) as session:
        do(session)
    assert time.monotonic() - start < LONGEST
    assert str(caught.value).isprintable()
    assert SECRET not in str(caught.value)
    return caught.value


def refusal_of_login(script: Script, told: str) -> DatabaseError:
    """How a login fails, soon where it may be for its time."""
    return refusal(script, timeout=TIMEOUT if "timed out" in told else PATIENT)


def saying(*said: bytes) -> Script:
    """Answers what a client says first."""

    def script(client: Client) -> None:
        client.hear_startup()
        client.say(*said)

    return script


def repeating(said: bytes, before: bytes = b"") -> Script:
    def script(client: Client) -> None:
        client.hear_startup()
        client.say(before)
        client.repeat(said)

    return script


MALFORMED = "violates PostgreSQL's protocol"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), MALFORMED, id="HTTP"),
        pytest.param(saying(b"\0" * 100), "of the kind b'\\\\x00'", id="zeros"),
        pytest.param(saying(b"SSH-2.0-OpenSSH_9.2\r\n"), MALFORMED, id="SSH"),
        pytest.param(saying(bytes(range(128, 256))), MALFORMED, id="bytes"),
        pytest.param(saying(of_length(b"R", -1)), "length -1", id="a negative length"),
        pytest.param(saying(of_length(b"R", 3)), "length 3", id="a length shorter than itself"),
        pytest.param(saying(of_length(b"R", 2**31 - 1)), "length 2,147,483,647", id="2 GB of a login"),
        pytest.param(saying(of_length(b"E", 2**31 - 1)), "length 2,147,483,647", id="2 GB of an error"),
        pytest.param(saying(of_length(b"R", 4, b"\0\0\0\0")), "step -1", id="a length shorter than the body"),
        pytest.param(saying(of_length(b"R", 9, b"\0\0\0\0")), "timed out", id="a length longer than the body"),
        pytest.param(saying(authentication(99)), "step 99", id="an unknown way to log in"),
        pytest.param(saying(authentication(7)), "GSSAPI, which is not supported.*pg_hba", id="GSSAPI"),
        pytest.param(saying(authentication(5, b"ab")), "step 5", id="MD5 with half a salt"),
        pytest.param(saying(authentication(3), authentication(3)), "step 3 .* after step 3", id="a password, again"),
        pytest.param(repeating(authentication(3)), "step 3 .* after step 3", id="endless passwords"),
        pytest.param(saying(authentication(0), authentication(0)), "step 0 .* after step 0", id="let in twice"),
        pytest.param(saying(READY), "in the middle of the login", id="ready before anybody was let in"),
        pytest.param(saying(KEY), "in the middle of the login", id="a key before anybody was let in"),
        pytest.param(saying(authentication(0), message(b"K", b"ab"), READY), "kind b'K'", id="half a key"),
        pytest.param(saying(authentication(0), message(b"Z", b"X")), "kind b'Z'", id="an unknown state"),
        pytest.param(saying(authentication(0), message(b"Z")), "kind b'Z'", id="no state"),
        pytest.param(saying(authentication(0), row(b"1")), "in the middle of the login", id="a row"),
        pytest.param(saying(authentication(0), described(("a", TEXT))), "in the middle of the login", id="columns"),
        pytest.param(saying(authentication(0), message(b"v", bytes(8))), "of the kind b'v'", id="another version"),
        pytest.param(saying(authentication(0), message(b"S", b"no value")), "kind b'S'", id="half a parameter"),
        pytest.param(
            saying(authentication(0), parameter("client_encoding", "LATIN1")), "kind b'S'", id="another encoding"
        ),
        pytest.param(saying(authentication(0)), "timed out", id="never ready"),
        pytest.param(saying(), "timed out", id="silence"),
        pytest.param(repeating(message(b"N", b"Mhello\0\0")), "notices|timed out", id="endless notices"),
        pytest.param(repeating(message(b"N", b"M" + b"x" * 99999 + b"\0\0")), "notices", id="endless long notices"),
        pytest.param(repeating(parameter("a", "b"), authentication(0)), "notices|timed out", id="endless parameters"),
        pytest.param(repeating(KEY, authentication(0)), "longer than", id="endless keys"),
        pytest.param(saying(WELCOME, READY), "did not report the process", id="no answer to the first statement"),
        pytest.param(
            saying(WELCOME, described(("a", INTEGER)), row(b"7"), complete("SELECT 1"), READY),
            "did not report the process",
            id="another answer to the first statement",
        ),
    ],
)
def test_garbage_in_place_of_a_login_is_told_as_that(script: Script, told: str) -> None:
    with pytest.raises(DatabaseError, match=told):
        raise refusal_of_login(script, told)


def test_a_server_that_doles_out_its_bytes_has_no_longer_than_others() -> None:
    def script(client: Client) -> None:
        client.hear_startup()
        for byte in message(b"N", b"M" + b"x" * 99 + b"\0\0"):
            client.say(bytes([byte]))
            time.sleep(TIMEOUT / 5)

    assert "timed out" in refusal(script, timeout=TIMEOUT).message


def test_what_speaks_no_protocol_is_not_tried_again() -> None:
    assert not refusal(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")).transient
    assert refusal(saying(), timeout=TIMEOUT).transient is True


def scram(first: Callable[[str], str], final: Callable[[], bytes], mechanisms: bytes = b"SCRAM-SHA-256\0\0") -> Script:
    """SCRAM, whose two answers are as these say."""

    def script(client: Client) -> None:
        client.hear_startup()
        client.say(authentication(10, mechanisms))
        _, body = client.hear()
        nonce = body.rpartition(b"r=")[2].decode()
        client.say(authentication(11, first(nonce).encode()))
        client.hear()
        client.say(final())

    return script


SALT = base64.b64encode(b"salt" * 4).decode()


def right(nonce: str) -> str:
    return f"r={nonce}more,s={SALT},i=4096"


def wrong_signature() -> bytes:
    return authentication(12, b"v=" + base64.b64encode(bytes(32))) + WELCOME


NO_PROOF = "did not prove|timed out"
"""The scramp of Python 3.9 and 3.10 answers what is wrong here, and this server has nothing more to say."""


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param(scram(right, wrong_signature), "did not prove that it knows the password", id="signature"),
        pytest.param(scram(right, lambda: WELCOME), "step 0 .* after step 11", id="no signature"),
        pytest.param(scram(right, lambda: authentication(12, b"v=!")), "did not prove", id="no base 64"),
        pytest.param(scram(right, lambda: authentication(12, b"\xff")), "step 12 .* not formed", id="garbage"),
        pytest.param(scram(lambda _: "", lambda: b""), "step 11 .* not formed", id="nothing"),
        pytest.param(scram(lambda _: "hello", lambda: b""), "did not prove", id="no message of SCRAM"),
        pytest.param(scram(lambda _: f"r=other,s={SALT},i=4096", lambda: b""), "did not prove", id="another nonce"),
        pytest.param(scram(lambda n: f"r={n},s={SALT},i=4096", lambda: b""), NO_PROOF, id="our own nonce"),
        pytest.param(
            scram(lambda n: f"r={n}more,s={SALT},i={2**31}", lambda: b""),
            f"{login.MOST_ROUNDS:,} iterations",
            id="2^31 rounds",
        ),
        pytest.param(
            scram(lambda n: f"r={n}more,s={SALT},i={'9' * 5000}", lambda: b""),
            f"{login.MOST_ROUNDS:,} iterations",
            id="more rounds",
        ),
        pytest.param(scram(lambda n: f"r={n}more,s={SALT},i=-1", lambda: b""), NO_PROOF, id="negative rounds"),
        pytest.param(scram(right, lambda: b"", b"SCRAM-SHA-1\0\0"), "login by SCRAM-SHA-1", id="a weaker hash"),
        pytest.param(scram(right, lambda: b"", b"OAUTHBEARER\0\0"), "login by OAUTHBEARER", id="another mechanism"),
        pytest.param(scram(right, lambda: b"", b"\0"), "step 10 .* not formed", id="no mechanism"),
        pytest.param(scram(right, lambda: b"", b"\xff\0\0"), "step 10 .* not formed", id="a mechanism of garbage"),
        pytest.param(scram(right, lambda: b"", b"SCRAM-SHA-256-PLUS\0\0"), "did not prove", id="binding without TLS"),
    ],
)
def test_a_server_that_does_not_prove_that_it_knows_the_password_is_not_believed(script: Script, told: str) -> None:
    with pytest.raises(DatabaseError, match=told):
        raise refusal_of_login(script, told)


def test_as_many_rounds_as_are_computed_take_no_longer_than_a_login_may() -> None:
    script = scram(lambda n: f"r={n}more,s={SALT},i={login.MOST_ROUNDS}", wrong_signature)
    failed = refusal(script, timeout=TIMEOUT)
    assert "did not prove" in failed.message or "timed out" in failed.message


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([], "the server gave no reason."),
        ([b"C28P01"], "the server gave no reason (SQLSTATE 28P01)."),
        ([b"Mno"], "no."),
        ([b"Cxxxxxyyyyy", b"Mno"], "no (SQLSTATE xxxxx)."),
        ([b"C28000", b"M\xff\xfe no"], "\ufffd\ufffd no (SQLSTATE 28000)."),
        ([b"C28000", b"Mone\ntwo\r\x1b[2Jthree\a"], "one two  [2Jthree  (SQLSTATE 28000)."),
        ([b"C28000", b"M" + b"x" * 5000], "x" * 1000 + "... (SQLSTATE 28000)."),
        ([b"C28000", b"M" + b" " * 300_000 + b'"'], " " * 1000 + "... (SQLSTATE 28000)."),
    ],
)
def test_an_error_is_one_line_whatever_the_server_puts_into_it(fields: list[bytes], told: str) -> None:
    assert refusal(saying(error(*fields))).message == told


def test_an_error_with_an_unknown_field_is_malformed() -> None:
    assert MALFORMED in refusal(saying(error(b"\xffx"))).message


class Endless(io.RawIOBase):
    """A message of so many bytes, of which only a few are ever there."""

    def __init__(self, kind: bytes, length: int, fill: bytes) -> None:
        self._rest = message(kind)[:1] + struct.pack("!i", length + 4)
        self._length = length
        self._fill = fill * (1 << 20)
        self._after = READY

    def read(self, size: int = -1) -> bytes:
        if self._rest:
            piece, self._rest = self._rest[:size], self._rest[size:]
        elif self._length:
            piece = self._fill[: min(size, self._length)]
            self._length -= len(piece)
        else:
            piece, self._after = self._after[:size], self._after[size:]
        return piece


@pytest.mark.parametrize(("kind", "kept"), [(b"E", LONGEST_ERROR), (b"N", 0)])
def test_of_an_error_or_a_notice_of_a_gigabyte_only_its_beginning_is_kept(kind: bytes, kept: int) -> None:
    reader = Reader(Endless(kind, GIGABYTE, b"M"))
    tracemalloc.start()
    try:
        found = [reader.next()]
        while found[-1] != (b"Z", b"I"):
            found.append(reader.next())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [len(item[1]) for item in found[:-1] if item] == [kept] * bool(kept)
    assert peak < 10 << 20


def test_what_is_passed_over_ends_somewhere() -> None:
    class Notices(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return (message(b"N", b"\0"))[-size:] if size == 1 else message(b"N", b"\0")[:size]

    reader = Reader(Notices(), longest_talk=100_000)
    with pytest.raises(ProtocolBroken, match="notices"):
        reader.next()


def answering_statements(*answers: bytes, repeat: bytes = b"", hang_up: bool = False) -> Script:
    """Lets the client in, and answers one statement after the other."""

    def script(client: Client) -> None:
        client.let_in()
        for answer in answers:
            client.hear()
            client.say(answer)
        if repeat:
            client.repeat(repeat)
        if hang_up:
            client.connection.shutdown(2)

    return script


ONE = described(("a", INTEGER))
DONE = complete("SELECT 1") + READY


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(row(b"1") + DONE, "other columns than were described", id="a row that nobody described"),
        pytest.param(ONE + row(b"1", b"2") + DONE, "other columns", id="more values than columns"),
        pytest.param(ONE + row() + DONE, "other columns", id="fewer values than columns"),
        pytest.param(ONE + row(b"1") + described() + DONE, "rows of different columns", id="columns after rows"),
        pytest.param(ONE + message(b"D", b"\0\1\x7f\0\0\0a") + DONE, "kind b'D'", id="a value longer than its row"),
        pytest.param(ONE + message(b"D", b"\0\1\xff\0\0\0a") + DONE, "kind b'D'", id="a negative length"),
        pytest.param(ONE + message(b"D", b"\0\1") + DONE, "kind b'D'", id="half a row"),
        pytest.param(ONE + row(b"one") + DONE, "not of its column's type", id="text in place of a number"),
        pytest.param(ONE + row(b"9" * 5000) + DONE, "not of its column's type", id="a number of 5,000 digits"),
        pytest.param(
            described(("a", 114)) + row(b"[" * 100_000) + DONE, "not of its column's type", id="JSON without a bottom"
        ),
        pytest.param(described(("a", 1700)) + row(b"\0") + DONE, "not of its column's type", id="a decimal"),
        pytest.param(ONE + row(b"\xff") + DONE, "kind b'D'", id="a value that is not UTF-8"),
        pytest.param(described(("a", INTEGER), form=1) + row(b"\0\0\0\1") + DONE, "kind b'T'", id="binary"),
        pytest.param(message(b"T", b"\x7f\xff") + DONE, "kind b'T'", id="columns that are not there"),
        pytest.param(message(b"T", b"") + DONE, "kind b'T'", id="no number of columns"),
        pytest.param(message(b"C", b"SELECT 1") + READY, "kind b'C'", id="a tag without an end"),
        pytest.param(message(b"C", b"SELECT " + b"9" * 9999 + b"\0") + READY, "kind b'C'", id="a tag without end"),
        pytest.param(complete("SELECT 1") + message(b"Z", b"?"), "kind b'Z'", id="an unknown state"),
        pytest.param(message(b"G", b"\0\0\0"), "kind b'G'", id="a COPY that nobody asked for"),
        pytest.param(message(b"H", b"\0\0\0"), "kind b'H'", id="a COPY to us that nobody asked for"),
        pytest.param(authentication(3), "kind b'R'", id="a login that is long done"),
        pytest.param(message(b"W", b"\0\0\0"), "of the kind b'W'", id="replication"),
        pytest.param(of_length(b"T", -2), "length -2", id="a negative length of a message"),
        pytest.param(of_length(b"D", 2**31 - 1), "length 2,147,483,647", id="a row of 2 GB"),
        pytest.param(message(b"1", b"x"), "kind b'1'", id="more than nothing"),
        pytest.param(parameter("client_encoding", "SQL_ASCII"), "kind b'S'", id="another encoding, later"),
        pytest.param(message(b"S", b"\xff\0\xff\0"), "kind b'S'", id="a parameter of garbage"),
    ],
)
def test_an_answer_that_is_none_is_told_and_ends_the_session(answer: bytes, told: str) -> None:
    def ask(session: Session) -> None:
        try:
            session.run("SELECT 1")
        finally:
            assert session.closed

    failed = refusal(answering_statements(answer), ask)
    assert isinstance(failed, ProtocolBroken)
    assert not failed.transient
    with pytest.raises(DatabaseError, match=told):
        raise failed


@pytest.mark.parametrize(
    "repeat",
    [
        pytest.param(row(b"1" * 1_000_000), id="long rows"),
        pytest.param(error(b"Mno"), id="errors"),
        pytest.param(complete("SELECT 1"), id="ends"),
    ],
)
def test_an_answer_without_end_is_not_waited_for(repeat: bytes) -> None:
    script = answering_statements(described(("a", TEXT)), repeat=repeat)
    assert "longer than 67,108,864 bytes" in refusal(script, lambda session: session.run("SELECT 1")).message


@pytest.mark.parametrize(
    "begun", [b"", ONE, ONE + row(b"1"), ONE + row(b"1")[:9], ONE + row(b"1") + complete("SELECT 1")]
)
def test_a_server_that_hangs_up_in_the_middle_is_told_as_that(begun: bytes) -> None:
    script = answering_statements(begun, hang_up=True)
    assert refusal(script, lambda s: s.run("SELECT 1")).message == "The connection to the server broke: it hung up."


def test_the_reason_that_a_server_gave_before_it_hung_up_is_told() -> None:
    last_words = error(b"C57P01", b"Mterminating connection due to administrator command")
    failed = refusal(answering_statements(last_words, hang_up=True), lambda session: session.run("SELECT 1"))
    assert type(failed) is ConnectionFailed
    assert "terminating connection due to administrator command" in failed.message


BEGUN, COMMITTED = complete("BEGIN") + IN_TRANSACTION, complete("COMMIT") + READY


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([complete("BEGIN") + READY], id="none was begun"),
        pytest.param([BEGUN, complete("ROLLBACK") + READY], id="rolled back"),
        pytest.param([BEGUN, complete("COMMIT") + IN_TRANSACTION], id="still open"),
        pytest.param([BEGUN, READY], id="nothing was done"),
    ],
)
def test_a_transaction_that_did_not_begin_or_end_as_it_was_told_is_an_error(answers: list[bytes]) -> None:
    def commit(session: Session) -> None:
        with session.transaction():
            pass

    assert "a transaction" in refusal(answering_statements(*answers), commit).message


def test_a_transaction_that_did_is_none() -> None:
    """So that the test before can fail."""
    with connected(answering_statements(BEGUN, COMMITTED)) as session, session.transaction():
        pass


COPY_OUT, COPY_IN = message(b"H", b"\0\0\1\0\0"), message(b"G", b"\0\0\1\0\0")
LINE, COPY_DONE = message(b"d", b"a\n"), message(b"c")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(COPY_OUT + LINE + COPY_DONE + complete("COPY 5") + READY, "1 rows, and reported 5", id="more"),
        pytest.param(
            COPY_OUT + LINE * 9 + COPY_DONE + complete("COPY 5") + READY, "9 rows, and reported 5", id="fewer"
        ),
        pytest.param(COPY_OUT + LINE + complete("COPY 1") + READY, "kind b'C'", id="no CopyDone"),
        pytest.param(COPY_OUT + LINE + COPY_DONE + READY, "did not report how many", id="no count"),
        pytest.param(COPY_OUT + LINE + COPY_DONE + complete("SELECT 1") + READY, "another statement", id="a SELECT"),
        pytest.param(COPY_OUT + LINE + READY, "did not report how many", id="no end"),
        pytest.param(LINE + COPY_DONE + complete("COPY 1") + READY, "kind b'd'", id="no beginning"),
        pytest.param(READY, "did not report how many", id="nothing"),
        pytest.param(COPY_OUT + COPY_OUT, "kind b'H'", id="two beginnings"),
        pytest.param(COPY_OUT + COPY_DONE + LINE, "kind b'd'", id="a row after the end"),
        pytest.param(message(b"H", b"\1\0\1\0\1"), "kind b'H'", id="binary"),
        pytest.param(COPY_OUT + message(b"d", b"a"), "kind b'd'", id="a row without an end"),
        pytest.param(COPY_OUT + of_length(b"d", 2**31 - 1), "length 2,147,483,647", id="a row of 2 GB"),
        pytest.param(COPY_OUT + of_length(b"d", -1), "length -1", id="a negative length"),
        pytest.param(ONE + row(b"1") + DONE, "kind b'T'", id="rows of a SELECT"),
        pytest.param(error(b"Mno") * 5, "kind b'E'", id="errors"),
        pytest.param(COPY_IN, "kind b'G'", id="the other COPY"),
    ],
)
def test_rows_that_are_read_are_those_that_the_server_tells_of(answer: bytes, told: str) -> None:
    def read(session: Session) -> None:
        try:
            list(session.copy_out("COPY t TO STDOUT"))
        finally:
            assert session.closed

    with pytest.raises(ProtocolBroken, match=told):
        raise refusal(answering_statements(answer), read)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(READY, "neither an error nor the number", id="nothing"),
        pytest.param(complete("COPY 1") + READY, "kind b'C'", id="an end before the beginning"),
        pytest.param(COPY_IN + complete("COPY 1") + READY, "kind b'C'", id="an end before all was sent"),
        pytest.param(COPY_IN + READY, "neither an error nor the number", id="ready before all was sent"),
        pytest.param(COPY_IN + COPY_IN, "kind b'G'", id="two beginnings"),
        pytest.param(message(b"G", b"\1\0\1\0\1"), "kind b'G'", id="binary"),
        pytest.param(COPY_OUT, "kind b'H'", id="the other COPY"),
        pytest.param(error(b"Mno") * 5, "kind b'E'", id="errors"),
        pytest.param(COPY_IN + of_length(b"C", -1), "length -1", id="a negative length"),
        pytest.param(COPY_IN + b"HTTP/1.1 400 Bad Request\r\n\r\n", MALFORMED, id="HTTP"),
    ],
)
def test_rows_are_not_taken_for_sent_where_the_server_does_not_say_so(answer: bytes, told: str) -> None:
    def blocks() -> Iterator[bytes]:
        while True:  # it stops when the server does
            yield b"a\n" * 1000

    def send(session: Session) -> None:
        try:
            session.copy_in("COPY t FROM STDIN", blocks())
        finally:
            assert session.closed

    with pytest.raises(ProtocolBroken, match=told):
        raise refusal(answering_statements(answer), send)


def test_a_count_of_another_statement_is_no_count_of_rows_that_were_sent() -> None:
    def script(client: Client) -> None:
        client.let_in()
        client.hear()
        client.say(COPY_IN)
        while client.hear()[0] != b"c":
            pass
        client.say(complete("INSERT 0 2") + READY)

    failed = refusal(script, lambda session: session.copy_in("COPY t FROM STDIN", [b"a\nb\n"]))
    assert "as another statement" in failed.message


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_what_is_said_before_tls_is_not_taken_for_said_under_it(mode: str) -> None:
    """CVE-2021-23222: somebody in the middle puts messages in plain text behind the server's consent to TLS."""
    with peer(answering(b"S" + WELCOME)) as port:
        timeouts = Timeouts(connect_timeout=PATIENT, deadline=0)
        settings = Settings("d", "u", (Server("127.0.0.1", port),), tls=Tls(mode), timeouts=timeouts)
        with pytest.raises(TlsFailed, match="TLS with"):
            connect(settings, "t")
