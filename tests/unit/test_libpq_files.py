"""libpq's service file and password file."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.dbaccess.conninfo.libpq_files import (
    check_key_permissions,
    find_password,
    find_service,
    read_password_file,
    read_service,
    service_files,
)
from jobs.dbaccess.conninfo.settings import Login
from jobs.dbaccess.errors import UsageError

SERVICES = """
# comment
[shop]
host=db.example.com
  port=6543
dbname=shop=1
host=ignored: the first one counts

[other]
user=u
[shop]
user=ignored: the first section counts
"""


def test_a_service_is_the_first_section_of_its_name() -> None:
    assert read_service(SERVICES, "shop", "f") == {"host": "db.example.com", "port": "6543", "dbname": "shop=1"}
    assert read_service(SERVICES, "other", "f") == {"user": "u"}
    assert read_service(SERVICES, "nosuch", "f") is None


@pytest.mark.parametrize("line", ["host", "=x", "service=other"])
def test_a_wrong_line_of_a_service_is_named(line: str) -> None:
    with pytest.raises(UsageError, match="f, line 2"):
        read_service(f"[s]\n{line}\n", "s", "f")


@given(st.text(), st.sampled_from(["s", "", "]"]))
def test_any_service_file_is_read_or_refused_in_our_own_words(text: str, name: str) -> None:
    for candidate in (text, f"[{name}]\n{text}"):
        with contextlib.suppress(UsageError):
            read_service(candidate, name, "f")


def test_services_are_looked_for_where_libpq_looks(tmp_path: Path) -> None:
    assert service_files({"HOME": "/h", "PGSYSCONFDIR": "/etc"}) == [
        Path("/h/.pg_service.conf"),
        Path("/etc/pg_service.conf"),
    ]
    assert service_files({"HOME": "/h", "PGSERVICEFILE": "/s"}) == [Path("/s")]
    system = tmp_path / "pg_service.conf"
    system.write_text("[shop]\nhost=h\n")
    assert find_service("shop", [tmp_path / "nosuch", system]) == ({"host": "h"}, system)
    with pytest.raises(UsageError, match=f"no service 'x': looked in .*nosuch, {system}"):
        find_service("x", [tmp_path / "nosuch", system])


def login(host: str = "h", port: int = 5432, user: str = "u", dbname: str = "d") -> Login:
    return Login(host, port, user, dbname)


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("h:5432:d:u:secret", "secret"),
        ("*:*:*:*:secret", "secret"),
        ("h:5432:d:u:se\\:cr\\\\et", "se:cr\\et"),
        ("h:5432:d:u:secret:rest", "secret"),
        ("h:5432:d:u:", ""),
        ("other:5432:d:u:secret", None),
        ("h:5433:d:u:secret", None),
        ("h:5432:d:u", None),
        ("\\*:5432:d:u:secret", None),
        ("#h:5432:d:u:secret", None),
    ],
)
def test_a_line_of_the_password_file_matches_all_four(line: str, password: str | None) -> None:
    assert find_password(f"# comment\n\n{line}\n", login()) == password


def test_the_first_line_that_matches_counts() -> None:
    assert find_password("*:*:*:u:first\nh:5432:d:u:second\n", login()) == "first"


def test_names_with_colons_are_escaped_in_the_file() -> None:
    assert find_password("\\:\\:1:5432:d:u:secret", login(host="::1")) == "secret"


def test_a_sockets_directory_is_localhost() -> None:
    assert find_password("localhost:5432:d:u:secret", login(host="/tmp")) == "secret"


@given(st.text(), st.text(), st.text())
def test_any_password_file_is_read(text: str, user: str, host: str) -> None:
    find_password(text, login(host=host, user=user))


FIELD = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1)


@given(password=FIELD, user=FIELD, dbname=FIELD)
def test_escaped_fields_are_found_again(password: str, user: str, dbname: str) -> None:
    fields = ["h", "5432", dbname, user, password]
    line = ":".join(field.replace("\\", "\\\\").replace(":", "\\:") for field in fields)
    assert find_password(f" \n{line}\n", login(user=user, dbname=dbname)) == password


def test_a_password_file_that_others_may_read_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "pgpass"
    path.write_text("*:*:*:*:secret\n")
    path.chmod(0o600)
    assert read_password_file(path) == "*:*:*:*:secret\n"
    path.chmod(0o640)
    with caplog.at_level(logging.WARNING):
        assert read_password_file(path) == ""
    assert f"chmod 600 {path}" in caplog.text
    assert "secret" not in caplog.text


def test_a_password_file_that_is_not_there_or_no_file_is_not_used(tmp_path: Path) -> None:
    assert read_password_file(tmp_path / "nosuch") == ""
    assert read_password_file(tmp_path) == ""


def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0o600)
    check_key_permissions(key)
    key.chmod(0o604)
    with pytest.raises(UsageError, match=f"chmod 600 {key}"):
        check_key_permissions(key)
