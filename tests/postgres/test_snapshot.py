"""One moment for several sessions: held by one, adopted by others, lost with the first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import Snapshot, SnapshotLost, adopted
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


def rows(session: Session) -> int:
    return int(session.run("SELECT count(*) FROM t")[0][0])


def test_all_who_adopt_a_snapshot_see_the_same_rows(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t AS SELECT 1 AS a")
    with connect(database, "holder") as holder, connect(database, "reader") as reader:
        moment = snapshot.export(holder, "SELECT 1")
        session.run("INSERT INTO t VALUES (2)")
        with adopted(reader, moment):
            assert (rows(session), rows(reader)) == (2, 1)
        assert rows(reader) == 2


def test_whoever_sees_a_snapshot_can_only_read(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int)")
    with connect(database, "holder") as holder, connect(database, "reader") as reader:
        moment = snapshot.export(holder, "SELECT 1")
        with pytest.raises(DatabaseError, match="read-only transaction"), adopted(reader, moment):
            reader.run("INSERT INTO t VALUES (1)")
        with pytest.raises(DatabaseError, match="read-only transaction"):
            holder.run("INSERT INTO t VALUES (1)")


def test_a_snapshot_whose_holder_has_ended_is_lost(session: Session, database: Settings) -> None:
    with connect(database, "holder") as holder:
        moment = snapshot.export(holder, "SELECT 1")
        session.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'")
        lost = pytest.raises(SnapshotLost, match="driver's connection has ended")
        with connect(database, "reader") as reader, lost, adopted(reader, moment):
            raise AssertionError("there is nothing to see")


def test_an_identifier_that_never_was_is_a_snapshot_that_is_lost(session: Session) -> None:
    with pytest.raises(SnapshotLost), adopted(session, Snapshot("nosuch", "", "")):
        raise AssertionError("there is nothing to see")


def test_the_holder_knows_which_transactions_run(database: Settings) -> None:
    with connect(database, "writer") as writer, connect(database, "holder") as holder:
        writer.run("BEGIN")
        [[xid]] = writer.run("SELECT pg_current_xact_id()::text")
        seen = snapshot.export(holder, "SELECT 1").seen
        assert seen.split(":")[0] == xid


def test_text_can_be_read_again_whatever_the_roles_settings(session: Session, database: Settings) -> None:
    odd = {
        "DateStyle": "'German'",
        "IntervalStyle": "iso_8601",
        "TimeZone": "'Asia/Tokyo'",
        "bytea_output": "escape",
        "extra_float_digits": "0",
        "statement_timeout": "600000",
    }
    for name, value in odd.items():
        session.run(f"ALTER DATABASE {database.dbname} SET {name} = {value}")
    with connect(database, "holder") as holder:
        snapshot.export(holder, "SELECT 1")
        written = holder.copy_out(
            "COPY (SELECT '2026-11-20 08:00+00'::timestamptz, '1 day'::interval, '\\x61'::bytea, 0.1::float8 + 0.2, "
            "current_setting('statement_timeout')) TO STDOUT"
        )
        assert b"".join(written) == b"2026-11-20 17:00:00+09\t1 day\t\\\\x61\t0.30000000000000004\t0\n"


def test_others_reach_the_server_that_the_holder_reached(database: Settings) -> None:
    [there] = database.servers
    several = replace(database, servers=(replace(there, port=1), there), target_session_attrs="read-write")
    with connect(several, "holder") as holder:
        moment = snapshot.export(holder, "SELECT 1")
        alone = several.at(holder.server)
        assert [server.port for server in alone.servers] == [there.port]
        with connect(alone, "reader") as reader, adopted(reader, moment):
            assert reader.server == holder.server
