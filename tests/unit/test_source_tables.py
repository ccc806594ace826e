"""Names of tables of Spark's catalogs."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.flows.source_tables import CatalogTable, check, parts_of


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("db.t", ("db", "t")),
        ("lake.db.t", ("lake", "db", "t")),
        ("lake.a.b.t", ("lake", "a", "b", "t")),
        ("lake.`a.b`.`t``x`", ("lake", "a.b", "t`x")),
        ("lake.db.my table; DROP TABLE x", ("lake", "db", "my table; DROP TABLE x")),
        ('db."t"', ("db", '"t"')),
    ],
)
def test_a_name_has_parts_of_which_each_is_taken_as_written(name: str, parts: tuple[str, ...]) -> None:
    assert parts_of(name) == parts


@pytest.mark.parametrize("name", ["", "t", "db.", ".t", "db..t", "`db.t`", "db.`t", "db.t`", "db.``", "db.`a`b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"is not a table of Spark's catalogs.* Write database\.table"):
        parts_of(name)


@pytest.mark.parametrize("version", ["-1", "1.0", "x", "٣", "1; DROP"])
def test_a_version_is_a_number(version: str) -> None:
    with pytest.raises(UsageError, match="is not a version of a table"):
        check(CatalogTable("db.t", version))
    check(CatalogTable("db.t", "798150000853375807"))
