"""The doctor names each misconfiguration that was planted, with what to do about it, and changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import pytest
import trustme
from libpq import environment
from peers import peer, tls_front

from jobs.dbaccess.catalog.health import OF_MODE
from jobs.dbaccess.conninfo.resolve import Resolved
from jobs.dbaccess.conninfo.settings import Pem, Server, Settings, Tls
from jobs.dbaccess.load.ledger import MARKER_TABLE
from jobs.dbaccess.load.move.modes import MODES
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.doctor import main
from jobs.flows.doctor import FAULT, OK, SKIPPED, WARNING, Finding, Wanted, examine, healthy

Environ = Mapping[str, str]
AUTHORITY = trustme.CA()
MARKERS = TableName.parse(MARKER_TABLE)


def findings(settings: Settings, table: str | None = None, mode: str = "append") -> list[Finding]:
    wanted = Wanted(None if table is None else TableName.parse(table), mode, MARKERS)
    return list(examine(lambda: Resolved(settings, {}), wanted, {}))


def states(found: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in found}


def test_a_server_that_a_load_can_use_passes_in_the_order_of_a_load(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    found = findings(database, "t", "upsert")
    assert healthy(found)
    assert list(states(found)) == [
        *("Python", "settings", "name", "port", "TLS", "login"),
        *("server", "writes", "max_wal_size", "connections", "table", "rights"),
    ]
    assert [finding.advice for finding in found if finding.state == OK] == [""] * len(
        [finding for finding in found if finding.state == OK]
    )


@pytest.fixture
def role(session: Session, database: Settings) -> Iterator[Settings]:
    """The settings of a role that may do nothing."""
    name = f"{database.dbname}_patient"
    session.run(f"CREATE ROLE {quote_name(name)} LOGIN")
    yield replace(database, user=name)
    session.run(f"DROP OWNED BY {quote_name(name)}")
    session.run(f"DROP ROLE {quote_name(name)}")


def test_ten_misconfigurations_are_named_in_one_run(session: Session, role: Settings) -> None:
    session.run("CREATE SCHEMA sales")
    session.run("CREATE TABLE sales.orders (id int PRIMARY KEY)")
    user = quote_name(role.user)
    session.run(f"ALTER ROLE {user} CONNECTION LIMIT 1")
    session.run(f"ALTER ROLE {user} SET default_transaction_read_only = on")
    session.run("CREATE PUBLICATION everything FOR ALL TABLES")
    found = findings(role, "sales.orders", "upsert")
    wrong = {(finding.check, finding.found): finding.advice for finding in found if finding.state in (FAULT, WARNING)}
    planted = {
        ("writes", "transactions are read-only by default"): (
            f"ALTER ROLE ... RESET default_transaction_read_only; it is on for {role.user} or its database."
        ),
        ("publications", "everything FOR ALL TABLES"): (
            "New tables of loads are replicated, too: a subscriber needs them, or publish FOR TABLE."
        ),
        ("connections", "0 free of 1; a load opens 1"): (
            "Close idle sessions, or raise max_connections, or the limit of the role or database."
        ),
        ("rights", "USAGE on schema sales"): f'GRANT USAGE ON SCHEMA "sales" TO {user};',
        ("rights", "CREATE on schema sales"): f'GRANT CREATE ON SCHEMA "sales" TO {user};',
        **{
            ("rights", f"{privilege} on sales.orders"): f'GRANT {privilege} ON "sales"."orders" TO {user};'
            for privilege in ("INSERT", "UPDATE", "SELECT")
        },
        **{
            ("rights", f"{privilege} on public.table_updates"): (
                f'GRANT {privilege} ON "public"."table_updates" TO {user};'
            )
            for privilege in ("SELECT", "INSERT")
        },
    }
    assert len(planted) == 10
    assert {place: wrong.get(place) for place in planted} == planted
    assert not {place for place in wrong if place[0] == "rights"} - set(planted)


def test_a_grant_that_was_advised_heals(session: Session, role: Settings) -> None:
    session.run("CREATE SCHEMA sales")
    advised = [
        finding.advice for finding in findings(role, "sales.orders") if finding.check == "rights" and finding.advice
    ]
    assert advised
    for statement in advised:
        session.run(statement)
    assert healthy(findings(role, "sales.orders"))


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [
        (
            lambda it: replace(it, servers=(Server("nowhere.invalid", 5432),)),
            "name",
            "There is no host 'nowhere.invalid'",
        ),
        (lambda it: replace(it, tls=replace(it.tls, mode="require")), "TLS", "does not offer TLS, and sslmode=require"),
        (lambda it: replace(it, dbname="none"), "login", 'database "none" does not exist'),
        (lambda it: replace(it, user="nobody_here"), "login", 'role "nobody_here" does not exist'),
    ],
)
def test_a_fault_on_the_way_is_named_and_what_lies_behind_it_is_skipped(
    database: Settings, change: Callable[[Settings], Settings], check: str, told: str
) -> None:
    found = findings(change(database))
    [fault] = [finding for finding in found if finding.state == FAULT]
    assert (fault.check, told in fault.found) == (check, True)
    behind = found[found.index(fault) + 1 :]
    assert {finding.state for finding in behind} == {SKIPPED}
    assert behind[-1].check == "rights"


def test_a_port_that_nobody_listens_on_is_no_fault_of_the_name(database: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = findings(replace(database, servers=(Server("127.0.0.1", free.getsockname()[1]),)))
    assert states(found)["name"] == OK
    assert states(found)["port"] == FAULT


def behind_tls(database: Settings, certificate: trustme.LeafCert, stack: ExitStack) -> Settings:
    """The settings of a server that speaks TLS with a certificate, of which the name and the authority are verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    backend = database.servers[0]
    port = stack.enter_context(peer(tls_front((backend.host, backend.port), context)))
    tls = Tls("verify-full", Pem("ca.pem", AUTHORITY.cert_pem.bytes().decode()))
    return replace(database, servers=(Server("localhost", port, "127.0.0.1"),), tls=tls)


def test_a_certificate_is_told_with_its_issuer_and_its_end(database: Settings) -> None:
    with ExitStack() as stack:
        found = findings(behind_tls(database, AUTHORITY.issue_cert("localhost"), stack))
    [tls] = [finding for finding in found if finding.check == "TLS"]
    assert tls.state == OK
    assert "verified, issued by" in tls.found
    assert "valid until" in tls.found


def test_an_expired_certificate_is_the_fault_and_not_the_login(database: Settings) -> None:
    now, day = dt.datetime.now(dt.timezone.utc), dt.timedelta(days=1)
    expired = AUTHORITY.issue_cert("localhost", not_before=now - 2 * day, not_after=now - day)
    with ExitStack() as stack:
        found = findings(behind_tls(database, expired, stack))
    [fault] = [finding for finding in found if finding.state == FAULT]
    assert (fault.check, "has expired" in fault.found) == ("TLS", True)


def test_a_missing_schema_and_a_new_table_are_told(database: Settings) -> None:
    assert ("table", FAULT) in states(findings(database, "nowhere.t")).items()
    [table] = [finding for finding in findings(database, "new") if finding.check == "table"]
    assert (table.state, table.found) == (OK, "public.new: the first load creates it")


def test_places_in_s3_are_examined_also_if_the_database_is_out_of_reach(database: Settings, aws: Environ) -> None:
    wanted = Wanted(None, "append", MARKERS, ("s3://not-there/x",), ("/not/s3",))
    found = list(examine(lambda: Resolved(replace(database, dbname="none"), {}), wanted, aws))
    assert [(finding.check, finding.state) for finding in found[-2:]] == [("S3", FAULT), ("S3", FAULT)]
    assert "s3://not-there/x cannot be listed" in found[-2].found
    assert "'/not/s3' is no place in S3" in found[-1].found


def test_every_mode_has_its_privileges() -> None:
    assert set(OF_MODE) >= set(MODES)


def test_the_command_prints_a_table_or_json_and_fails_for_a_fault(
    database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {**environment(database), "PGSSLMODE": "disable"}
    assert main(["--table", "nowhere.t"], environ) == 1
    assert "FAULT    table         there is no schema for nowhere.t\n" in capsys.readouterr().out
    assert main(["--table", "t", "--json"], environ) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["healthy"] is True
    assert {finding["check"] for finding in document["findings"]} >= {"login", "rights"}
