"""Tables and files have the names that OpenLineage's own client gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.dbaccess.conninfo.settings import Server, Settings
from jobs.lineage.datasets import Dataset, files, table


def settings(*servers: Server) -> Settings:
    return Settings("shop", "me", servers)


@pytest.mark.parametrize(
    ("servers", "namespace"),
    [
        ((Server("db.example.com", 5433),), "postgres://db.example.com:5433"),
        ((Server("a"), Server("b")), "postgres://a:5432"),
        ((Server("::1"),), "postgres://[::1]:5432"),
        ((Server("/var/run/postgresql"),), "postgres://localhost:5432"),
    ],
)
def test_a_table_is_named_by_server_database_and_schema(servers: tuple[Server, ...], namespace: str) -> None:
    assert table(settings(*servers), 'sales."a.b"') == (Dataset(namespace, "shop.sales.a.b"),)


def test_a_table_whose_schema_is_not_known_has_no_name() -> None:
    assert table(settings(Server()), "orders") == ()


@pytest.mark.parametrize(
    ("path", "namespace", "name"),
    [
        ("s3://bucket/orders/day=1/", "s3://bucket", "orders/day=1"),
        ("s3a://bucket/orders", "s3://bucket", "orders"),
        ("s3n://key:word@bucket/orders", "s3://bucket", "orders"),
        ("s3://bucket", "s3://bucket", "/"),
        ("gs://bucket/a", "gs://bucket", "a"),
        ("hdfs://name:8020/a/b", "hdfs://name:8020", "/a/b"),
        ("hdfs:/a/b", "hdfs", "/a/b"),
        ("abfss://box@account.dfs.core.windows.net/a", "abfss://box@account.dfs.core.windows.net", "/a"),
        ("ftp://me:word@host:21/a", "ftp://me@host:21", "/a"),
        ("file:///a/b/", "file", "/a/b"),
        ("/a/b", "file", "/a/b"),
    ],
)
def test_files_are_named_by_their_place(path: str, namespace: str, name: str) -> None:
    assert files([path]) == (Dataset(namespace, name),)


def test_a_relative_path_is_named_in_full_and_a_place_given_twice_once() -> None:
    assert files(["a/b", "./a/b"]) == (Dataset("file", str(Path.cwd() / "a" / "b")),)


def test_openlineages_client_has_the_same_names() -> None:
    naming = pytest.importorskip("openlineage.client.naming.dataset", reason="it needs Python 3.10")
    [orders] = table(settings(Server("db", 5433)), "sales.orders")
    theirs = naming.Postgres("db", "5433", "shop", "sales", "orders")
    assert (orders.namespace, orders.name) == (theirs.get_namespace(), theirs.get_name())
    for path, there in (
        ("s3://bucket/a/b", naming.S3("bucket", "a/b")),
        ("/a/b", naming.LocalFileSystem("/a/b")),
        ("hdfs://name:8020/a", naming.HDFS("name", "8020", "/a")),
    ):
        [here] = files([path])
        assert (here.namespace, here.name) == (there.get_namespace(), there.get_name())
