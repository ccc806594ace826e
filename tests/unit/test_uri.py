"""PostgreSQL's URIs, as libpq reads them."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.dbaccess.conninfo.uri import read_uri, states_password, write_uri
from jobs.dbaccess.errors import UsageError


@pytest.mark.parametrize(
    ("uri", "stated"),
    [
        # From libpq's own regression test, src/interfaces/libpq/t/001_uri.pl.
        ("postgresql://uri-user:secret@host:12345/db", "user=uri-user password=secret host=host port=12345 dbname=db"),
        ("postgresql://uri-user@host:12345/db", "user=uri-user host=host port=12345 dbname=db"),
        ("postgresql://uri-user@host/", "user=uri-user host=host"),
        ("postgresql://uri-user@", "user=uri-user"),
        ("postgresql://host:12345/", "host=host port=12345"),
        ("postgresql:///db", "dbname=db"),
        ("postgresql://uri%2Duser@host/", "user=uri-user host=host"),
        ("postgresql://host/db?u%73er=someotheruser&port=12345", "host=host dbname=db user=someotheruser port=12345"),
        ("postgresql://", ""),
        ("postgres://", ""),
        ("postgresql:///?user=uri-user&host=host", "user=uri-user host=host"),
        ("postgresql://[::1]:12345/db", "host=::1 port=12345 dbname=db"),
        ("postgresql://[2001:db8::1234]/", "host=2001:db8::1234"),
        ("postgresql://%2Fvar%2Flib%2Fpostgresql/dbname", "host=/var/lib/postgresql dbname=dbname"),
        ("postgresql:///?sslmode=disable", "sslmode=disable"),
        ("postgresql://host1,host2/db", "host=host1,host2 dbname=db"),
        ("postgresql://h1:1,h2:2/db", "host=h1,h2 port=1,2 dbname=db"),
        ("postgresql://h1,[::1]:2/db", "host=h1,::1 port=,2 dbname=db"),
        ("postgresql://u:p?#:x@h/db", "user=u password=p?#:x host=h dbname=db"),
        ("postgresql://u:a+b%20c@h/d+e", "user=u password=a+b\tc host=h dbname=d+e"),  # a plus is a plus
        ("postgresql://h/db?ssl=true", "host=h dbname=db sslmode=require"),
    ],
)
def test_a_uri_is_read_as_libpq_reads_it(uri: str, stated: str) -> None:
    expected = dict(item.replace("\t", " ").split("=", 1) for item in stated.split(" ") if item)
    assert read_uri(uri, "x") == expected


@pytest.mark.parametrize(
    "uri",
    [
        "mysql://u:s3cret@h/d",
        "u:s3cret@h",
        "postgresql://u:s3/cret@h:x:y/d",
        "postgresql://u:s3/cret@h/d",
        "postgresql://u:12/s3cret@h/d",
        "postgresql://u:s3%@h/d",
        "postgresql://u:s3%zz@h/d",
        "postgresql://u:s3%00@h/d",
        "postgresql://u:s3%ff@h/d",
        "postgresql://u:s3cret@[::1/d",
        "postgresql://u:s3cret@h/d?zzz",
        "postgresql://u:s3cret@h/d?a=b=c",
        "",
    ],
)
def test_a_wrong_uri_is_refused_by_its_origin_and_not_shown(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_uri(uri, "DATABASE_URL")
    assert "DATABASE_URL" in str(caught.value)
    assert "s3" not in str(caught.value)


ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,5})?", fullmatch=True),
    st.ip_addresses().map(str),
    st.text(string.ascii_letters + "/ %@:?é".replace(":", ""), min_size=1).map(lambda path: "/" + path),
)


@given(user=ANY_TEXT, password=ANY_TEXT, host=HOSTS, port=st.integers(1, 65535), dbname=ANY_TEXT, name=ANY_TEXT)
def test_whatever_is_written_is_read_again(
    user: str, password: str, host: str, port: int, dbname: str, name: str
) -> None:
    stated = {
        "user": user,
        "password": password,
        "host": host,
        "port": str(port),
        "dbname": dbname,
        "application_name": name,
    }
    assert read_uri(write_uri(stated), "x") == stated


@given(hosts=st.lists(st.tuples(st.sampled_from(["a", "b.c", "::1", "/tmp"]), st.integers(1, 65535)), min_size=1))
def test_several_hosts_keep_their_ports(hosts: list[tuple[str, int]]) -> None:
    stated = {"host": ",".join(host for host, _ in hosts), "port": ",".join(str(port) for _, port in hosts)}
    assert read_uri(write_uri(stated), "x") == stated


@given(st.one_of(st.text(), st.text().map(lambda text: f"postgresql://{text}")))
def test_any_text_is_read_or_refused_in_our_own_words(text: str) -> None:
    with contextlib.suppress(UsageError):
        read_uri(text, "x")


def test_whether_a_uri_holds_a_password() -> None:
    assert states_password("postgresql://u:p@h/d")
    assert states_password("postgresql://u@h/d?password=p")
    assert states_password("postgresql://u:%zz@h/d")
    assert not states_password("postgresql://u@h/d")
