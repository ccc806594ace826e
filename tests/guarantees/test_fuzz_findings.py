"""What fuzzing found, each as a test of its own: none of it may end in another error than ours."""

from __future__ import annotations

import argparse
import json

import pytest
from peers import answering, peer
from pyspark.sql.types import StringType

from jobs.cli.flags import at_least_one, seconds
from jobs.copyformat import decode_arrow
from jobs.copyformat.read_types import ExtractColumn
from jobs.dbaccess.conninfo.airflow import read_connection
from jobs.dbaccess.conninfo.keywords import whole_number
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.secret_text import read_stored
from jobs.dbaccess.conninfo.settings import Server, Settings, StaticPassword, Timeouts, Tls
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.conninfo.uri import read_uri
from jobs.dbaccess.errors import DatabaseError, TlsFailed, UsageError, from_server
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.sql import quote_name
from jobs.pgcopy.options import Options

DEEP = "[" * 100_000
ONCE = Timeouts(connect_timeout=60, deadline=0)


def test_a_name_with_bytes_that_are_not_utf8_is_refused() -> None:
    """As a command line hands them over."""
    with pytest.raises(UsageError, match="bytes of UTF-8"):
        quote_name("caf\udce9")


def test_a_url_with_bytes_that_are_not_utf8_is_refused() -> None:
    with pytest.raises(UsageError, match="--database-url has bytes that are not UTF-8"):
        read_uri("postgresql://caf\udce9/d", "--database-url")


@pytest.mark.parametrize("value", ["false", "1", "True"])
def test_a_word_for_tls_in_a_url_that_libpq_does_not_know_is_refused_and_not_passed_over(value: str) -> None:
    with pytest.raises(UsageError, match=r"parameters that are not supported: ssl\."):
        resolve(Given(url=f"postgresql://u@h/d?ssl={value}"), {})


def test_a_text_that_begins_with_a_byte_order_mark_is_read_whole() -> None:
    """PyArrow's reader of CSV leaves one out at the beginning of a block: the first letter of the first cell."""
    reading = ExtractColumn("a", "a", StringType())
    for lines in (["\ufeffa", "\ufeffb"], ["\ufeff\ufeff"], ["\ufeff"]):
        block = "".join(f"{line}\n" for line in lines).encode()
        read = [row["0"] for batch in decode_arrow.batches(iter([block]), [reading]) for row in batch.to_pylist()]
        assert read == lines


def test_a_path_that_no_file_can_have_is_told_as_that() -> None:
    with pytest.raises(UsageError, match="cannot be read: it is not UTF-8"):
        resolve(Given({"dbname": "d", "user": "u", "sslrootcert": "/caf\ud800"}), {})


def test_json_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(UsageError, match="is not JSON"):
        read_connection('{"conn_type": "postgres", "extra": ' + DEEP, "AIRFLOW_CONN_X")
    with pytest.raises(UsageError, match="an extra that is not JSON"):
        read_connection(json.dumps({"conn_type": "postgres", "extra": DEEP}), "AIRFLOW_CONN_X")
    with pytest.raises(UsageError, match="is not JSON"):
        read_stored('{"password": ' + DEEP + "}", "secret")


@pytest.mark.parametrize("text", ["a\0database\0other", "caf\udce9"])
def test_a_parameter_that_would_begin_others_in_the_startup_message_is_refused(text: str) -> None:
    """Names and values end with NUL there: one within a user would be the beginning of a parameter."""
    connection = json.dumps({"conn_type": "postgres", "login": text, "schema": "d", "host": "h"})
    with pytest.raises(UsageError, match=r"user \(from AIRFLOW_CONN_X\) contains NUL, or bytes that are not UTF-8"):
        resolve(Given(connection="x"), {"AIRFLOW_CONN_X": connection})


def test_a_password_that_cannot_be_sent_is_refused_and_not_shown() -> None:
    settings = Settings("d", "u", (Server("127.0.0.1", 1),), StaticPassword("pl4nted\udce9"), timeouts=ONCE)
    with pytest.raises(UsageError, match="The password contains NUL, or bytes that are not UTF-8") as caught:
        connect(settings, "t")
    assert "pl4nted" not in str(caught.value)


@pytest.mark.parametrize("host", ["x" * 64, "a..b", "."])
def test_a_host_that_can_be_no_name_is_told_as_that(host: str) -> None:
    with pytest.raises(DatabaseError, match="it is not a valid name"):
        connect(Settings("d", "u", (Server(host),), timeouts=ONCE), "t")
    with peer(answering(b"S")) as port:
        there = Settings("d", "u", (Server(host, port, "127.0.0.1"),), tls=Tls("require"), timeouts=ONCE)
        with pytest.raises(TlsFailed, match="cannot be a name in a certificate"):
            connect(there, "t")


@pytest.mark.parametrize("text", ["\u00b2", "\u0663", "0", "-1", "1e3", "9" * 5000])
def test_a_number_is_written_in_plain_digits(text: str) -> None:
    with pytest.raises(UsageError, match="The option parallelism is"):
        Options.parse({"parallelism": text}).number("parallelism")
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        at_least_one(text)
    with pytest.raises(ValueError, match="must be a whole number from 1 to 9"):
        whole_number(1, 9)(text)


@pytest.mark.parametrize("text", ["nan", "-1", "-inf", "soon"])
def test_a_deadline_that_never_comes_or_has_passed_is_refused(text: str) -> None:
    """Nothing is later than NaN: a job would try for ever."""
    with pytest.raises(UsageError, match="The option connectDeadline is"):
        Options.parse({"connectDeadline": text}).seconds("connectDeadline", 1.0)
    with pytest.raises(argparse.ArgumentTypeError, match="not a number of seconds"):
        seconds(text)
    assert seconds("inf") == float("inf")


def test_a_refused_value_whose_message_was_cut_is_not_shown() -> None:
    told = from_server({"C": "22P02", "M": 'invalid input syntax for type integer: "pl4nted ' + "x" * 100})
    assert told.message == "invalid input syntax for type integer (SQLSTATE 22P02)."


def test_a_message_of_blanks_is_taken_apart_in_no_time() -> None:
    """A regular expression went through them once for each of them."""
    assert from_server({"C": "22P02", "M": "a" + " " * 1_000_000 + "b"}).sqlstate == "22P02"
