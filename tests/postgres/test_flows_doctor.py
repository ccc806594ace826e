"""The doctor names each misconfiguration that was planted, with what to do about it, and changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cloud import store_parameter, store_secret
from columns_only import Columns
from libpq import environment
from peers import peer, tls_front
from pyspark.sql import types as t

from jobs.aws import clients
from jobs.dbaccess.catalog.health import OF_MODE, Replication
from jobs.dbaccess.conninfo.resolve import Resolved
from jobs.dbaccess.conninfo.settings import Pem, Server, Settings, Tls
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move.modes import MODES
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.doctor import Planning, _wanted, main, parse
from jobs.flows.doctor.database import replicas
from jobs.flows.doctor.examine import examine
from jobs.flows.doctor.finding import FAULT, OK, SKIPPED, WARNING, Finding, healthy
from jobs.flows.doctor.target import Wanted
from jobs.flows.doctor.way import Store, store_of
from jobs.flows.load.dry_run.fit import fit
from jobs.flows.load.job import LoadJob

Environ = Mapping[str, str]
AUTHORITY = trustme.CA()


def findings(settings: Settings, table: str | None = None, mode: str = "append") -> list[Finding]:
    wanted = Wanted(None if table is None else TableName.parse(table), mode)
    return list(examine(lambda: Resolved(settings, {}), wanted, {}))


def states(found: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in found}


def test_a_server_that_a_load_can_use_passes_in_the_order_of_a_load(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    found = findings(database, "t", "upsert")
    assert healthy(found)
    assert list(states(found)) == [
        *("Python", "settings", "name", "port", "TLS", "login", "pooler"),
        *("server", "writes", "max_wal_size", "max_connections", "replicas", "connections"),
        *("table", "ledger", "privileges"),
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


def test_each_privilege_that_is_missing_is_named_in_one_run(session: Session, role: Settings) -> None:
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
            "Loads state READ WRITE themselves, other sessions do not. ALTER ROLE ... RESET "
            f"default_transaction_read_only; it is on for {role.user} or its database."
        ),
        ("publications", "everything FOR ALL TABLES (without effect while wal_level is replica)"): (
            "New tables of loads are replicated, too: a subscriber needs them, or publish FOR TABLE."
        ),
        ("connections", "0 free of 1; a load opens 1"): (
            "Close idle sessions, or raise max_connections, or the limit of the role or database."
        ),
        ("privileges", "USAGE on schema sales"): f'GRANT USAGE ON SCHEMA "sales" TO {user};',
        ("privileges", "CREATE on schema sales"): f'GRANT CREATE ON SCHEMA "sales" TO {user};',
        **{
            ("privileges", f"{privilege} on sales.orders"): f'GRANT {privilege} ON "sales"."orders" TO {user};'
            for privilege in ("INSERT", "UPDATE", "SELECT")
        },
        **{
            ("privileges", f"{privilege} on public.table_updates"): (
                f'GRANT {privilege} ON "public"."table_updates" TO {user};'
            )
            for privilege in ("SELECT", "INSERT")
        },
    }
    assert len(planted) == 10
    assert {place: wrong.get(place) for place in planted} == planted
    assert not {place for place in wrong if place[0] == "privileges"} - set(planted)


def test_ten_misconfigurations_are_named_in_one_run(
    session: Session, role: Settings, aws: Environ, tmp_path: Path
) -> None:
    user, slot = quote_name(role.user), f"{role.dbname}_gone"
    (tmp_path / "pgjobs.json").write_text(
        json.dumps({"built_for": {"release": "emr-x", "architecture": "x86_64", "python": "2.7", "spark": "1.0"}})
    )
    session.run("CREATE SCHEMA sales; CREATE TABLE sales.orders (id int, total int, at date NOT NULL)")
    session.run(f"GRANT USAGE, CREATE ON SCHEMA sales TO {user}; GRANT CREATE ON SCHEMA public TO {user}")
    session.run("CREATE TABLE marks (update_id text)")
    session.run(f"ALTER ROLE {user} CONNECTION LIMIT 1")
    session.run(f"ALTER ROLE {user} SET default_transaction_read_only = on")
    session.run(f"ALTER ROLE {user} SET statement_timeout = '5min'")
    session.run("CREATE PUBLICATION everything FOR ALL TABLES")
    session.run("SELECT pg_create_physical_replication_slot(%s, true)", slot)
    job = LoadJob(TableName.parse("sales.orders"), role, "one")
    data = Columns(t.StructType([t.StructField("id", t.IntegerType()), t.StructField("total", t.DateType())]), 1)
    wanted = Wanted(
        job.table, "append", Ledger.parse("marks"), lambda asking: fit(asking, job, data.schema).line(), None,
        ("s3://not-there/in",), ("s3://not-there/out",),
    )  # fmt: skip
    try:
        found = list(examine(lambda: Resolved(role, {}), wanted, aws, module=str(tmp_path / "jobs" / "doctor.py")))
    finally:
        session.run("SELECT pg_drop_replication_slot(%s)", slot)
    wrong: dict[str, str] = {}
    for finding in found:
        if finding.state in (FAULT, WARNING):
            wrong[finding.check] = wrong.get(finding.check, "") + finding.found
    planted = {
        "archive": "made for emr-x, x86_64, Python 2.7; it runs on Python 3",
        "writes": "transactions are read-only by default",
        "statement_timeout": "300,000 ms",
        "publications": "everything FOR ALL TABLES",
        "slot": f"{slot} has no receiver, and keeps",
        "connections": "0 free of 1",
        "ledger": "public.marks cannot be the marker table. It lacks",
        "privileges": "INSERT on sales.orders",
        "fit": "'total' is a date, which does not fit integer; 'at' is missing, and is NOT NULL with no default",
        "S3": "s3://not-there/out cannot be written to",
    }
    assert len(planted) == 10
    assert {check: check in wrong and text in wrong[check] for check, text in planted.items()} == dict.fromkeys(
        planted, True
    )
    assert all(finding.advice for finding in found if finding.state in (FAULT, WARNING))
    assert set(wrong) - set(planted) <= {"max_wal_size"}  # as the server of the tests has it


def test_a_grant_that_was_advised_heals(session: Session, role: Settings) -> None:
    session.run("CREATE SCHEMA sales")
    advised = [
        finding.advice for finding in findings(role, "sales.orders") if finding.check == "privileges" and finding.advice
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
    assert behind[-1].check == "privileges"


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
    wanted = Wanted(None, "append", read=("s3://not-there/x",), written=("/not/s3",))
    found = list(examine(lambda: Resolved(replace(database, dbname="none"), {}), wanted, aws))
    assert [(finding.check, finding.state) for finding in found[-2:]] == [("S3", FAULT), ("S3", FAULT)]
    assert "s3://not-there/x cannot be listed" in found[-2].found
    assert "'/not/s3' is not a place in S3" in found[-1].found


def test_columns_that_are_granted_singly_are_no_missing_privilege(session: Session, role: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    session.run(f"GRANT INSERT (a, b) ON t TO {quote_name(role.user)}")
    privileges = {finding.found: finding.state for finding in findings(role, "t") if finding.check == "privileges"}
    assert (privileges["INSERT on public.t"], privileges["CREATE on schema public"]) == (OK, FAULT)


def test_a_history_needs_temporary_tables(session: Session, role: Settings) -> None:
    session.run(f"REVOKE TEMPORARY ON DATABASE {quote_name(role.dbname)} FROM PUBLIC")
    lacking = {finding.found: finding.advice for finding in findings(role, "t", "history") if finding.state == FAULT}
    assert lacking[f"TEMPORARY on database {role.dbname}"] == (
        f"GRANT TEMPORARY ON DATABASE {quote_name(role.dbname)} TO {quote_name(role.user)};"
    )


def test_every_mode_has_its_privileges() -> None:
    assert set(OF_MODE) >= set(MODES)


def test_the_privileges_of_an_upsert_depend_on_whether_it_deletes() -> None:
    options = parse(["--table", "t", "--mode", "upsert", "--keys", "a", "--delete-missing"])
    assert "DELETE" in OF_MODE[_wanted(options, Planning(options, {})).mode]


def test_the_command_prints_a_table_or_json_and_fails_for_a_fault(
    database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {**environment(database), "PGSSLMODE": "disable"}
    assert main(["--table", "nowhere.t"], environ) == 1
    assert "FAULT    table             there is no schema for nowhere.t\n" in capsys.readouterr().out
    assert main(["--table", "t", "--json"], environ) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["healthy"] is True
    assert {finding["check"] for finding in document["findings"]} >= {"login", "privileges"}


def test_of_several_hosts_one_is_enough(database: Settings) -> None:
    lost = Server("nowhere.invalid", 5432)
    found = findings(replace(database, servers=(lost, *database.servers)))
    assert healthy(found)
    [warning] = [one for one in found if one.check == "name" and one.state == WARNING]
    assert "There is no host 'nowhere.invalid'" in warning.found
    assert states(found)["login"] == OK
    none = findings(replace(database, servers=(lost, Server("none.invalid", 5432))))
    assert [(one.check, one.found) for one in none if one.state == FAULT] == [
        ("port", "none of nowhere.invalid:5432, none.invalid:5432 can be used")
    ]
    assert states(none)["login"] == SKIPPED


@pytest.mark.parametrize("flag", ["--secret-id", "--ssm-parameter"])
def test_the_store_of_the_password_is_examined_before_the_server(
    database: Settings, aws: Environ, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    {"--secret-id": store_secret, "--ssm-parameter": store_parameter}[flag](aws, "doctor", "planted-password")
    environ = {**aws, **environment(database), "PGSSLMODE": "disable"}
    assert main([flag, "doctor"], environ) == 0
    out = capsys.readouterr().out
    assert "planted" not in out
    assert [line.split()[1] for line in out.splitlines()][1:4] == ["endpoint", "secret", "settings"]
    assert main([flag, "not-there", "--json"], environ) == 1
    told = json.loads(capsys.readouterr().out)["findings"]
    [fault] = [finding for finding in told if finding["state"] == FAULT]
    assert (fault["check"], "not-there cannot be read" in fault["found"]) == ("secret", True)
    assert {finding["state"] for finding in told[told.index(fault) + 1 :]} == {SKIPPED}


@pytest.mark.usefixtures("aws")
def test_an_endpoint_that_does_not_answer_is_told_before_the_secret_is_tried(
    aws: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        clients.client.cache_clear()
        store = store_of("doctor", None, False, "", aws)
        found = list(examine(lambda: pytest.fail("the secret was read"), Wanted(None, "append"), {}, store))
    [fault] = [finding for finding in found if finding.state == FAULT]
    assert (fault.check, "does not answer" in fault.found) == ("endpoint", True)
    assert "interface endpoint" in fault.advice


def test_a_token_is_signed_before_the_server_is_asked(database: Settings) -> None:
    def refuse(_: object) -> str:
        raise JobError("There are no credentials.", "Set AWS_PROFILE.")

    settings = replace(database, password=refuse)
    found = list(examine(lambda: Resolved(settings, {}), Wanted(None, "append"), {}, Store("")))
    assert [(one.check, one.advice) for one in found if one.state == FAULT] == [("token", "Set AWS_PROFILE.")]
    store = store_of(None, None, True, "", {})
    assert healthy(list(examine(lambda: Resolved(database, {}), Wanted(None, "append"), {}, store)))


@pytest.mark.parametrize(
    ("replication", "state", "told"),
    [
        (Replication(0, 0, None, awaits=False, idle_slots={}), OK, "none"),
        (Replication(2, 1, 5_000_000, awaits=True, idle_slots={}), OK, "2 replicas, 5.0 MB behind"),
        (Replication(1, 0, 2_000_000_000, awaits=False, idle_slots={}), WARNING, "1 replica, 2.0 GB behind"),
        (Replication(1, 0, None, awaits=True, idle_slots={}), OK, "1 replica, how far behind, only pg_monitor may see"),
        (Replication(0, 0, None, awaits=True, idle_slots={}), FAULT, "no synchronous standby is connected"),
    ],
)
def test_standbys_are_told_with_their_lag(replication: Replication, state: str, told: str) -> None:
    finding = replicas(replication)
    assert (finding.state, finding.found) == (state, told)
    assert bool(finding.advice) == (state != OK)
