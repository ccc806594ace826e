"""What an extract writes, a load of the same format reads back as it was."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.job import FilesJob
from jobs.flows.extract.job import run as run_extract
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.files import Files
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.sources import load as load_files

AWKWARD: list[str | None] = [
    *[
        None,
        "",
        "null",
        "NULL",
        "\\N",
        '"',
        '""',
        'a"b',
        '"a"',
        "\\",
        "a\\",
        '\\"',
        "a,\\",
        "a,\\\\",
        ",",
        ",,",
        "#",
        "# x",
    ],
    *["\n", "a\nb", "\r", "a\rb", "\r\n", "a\r\nb\n", " ", "  a  ", "\ta\t", "\x01", "\x0b", "\x1a", "\x85", "\u2028"],
    *["\ufeff", "\ufffd", "é漢🎈", "NaN", "2026-01-01", "{}", '{"a": 1}', "x" * 5000],
]


def texts() -> list[str | None]:
    """Awkward ones, and some made of awkward characters, the same each time."""
    chance = random.Random(7)  # noqa: S311 - no secret
    return AWKWARD + ["".join(chance.choices('"\\,\n\r a#é\t', k=chance.randint(1, 8))) for _ in range(300)]


def there_and_back(
    spark: SparkSession, database: Settings, folder: Path, file_format: str, options: dict[str, str]
) -> None:
    """Extract t, and load it into u."""
    target = str(folder / "files")
    run_extract(FilesJob(Wanted(TableName("t")), database, target, file_format, "error", options), lambda: spark)
    job = LoadJob(TableName("u"), database, new_load_id())
    files = Files([target], file_format, [f"{key}={value}" for key, value in options.items()])
    load_files(job, files, lambda: spark)


def differing(session: Session) -> list[list[object]]:
    return session.run(
        "(SELECT 'lost', t::text FROM (TABLE t EXCEPT ALL TABLE u) t) "
        "UNION ALL (SELECT 'new', u::text FROM (TABLE u EXCEPT ALL TABLE t) u) LIMIT 10"
    )


@pytest.mark.parametrize(
    ("file_format", "options"),
    [("csv", {"header": "true"}), ("csv", {"header": "true", "escape": '"'}), ("json", {})],
    ids=["csv", "csv with doubled quotes", "json"],
)
def test_a_load_gives_back_what_an_extract_wrote(
    spark: SparkSession,
    session: Session,
    database: Settings,
    tmp_path: Path,
    file_format: str,
    options: dict[str, str],
) -> None:
    session.run(
        "CREATE TABLE t (id int, s text, again text, x bytea, d date, at timestamptz, local timestamp, "
        "n numeric(10,3), f float8, b boolean)"
    )
    session.run(
        "INSERT INTO t SELECT place, s, s, decode(md5(s), 'hex'), date '0001-01-01' + place * 1000, "
        "'2026-07-01 12:00:00.123456Z'::timestamptz - place * interval '97 days 1 microsecond', "
        "'2026-03-08 02:30:00.000001'::timestamp + place * interval '1 microsecond', "
        "place / 7.0, place / 7.0, mod(place, 2) = 0 "
        "FROM unnest(%s::text[]) WITH ORDINALITY AS given (s, number), LATERAL (SELECT number::int AS place) AS placed",
        texts(),
    )
    session.run("INSERT INTO t (id, f) VALUES (-1, 'NaN'), (-2, '-Infinity'), (-3, NULL)")
    session.run("CREATE TABLE u (LIKE t)")
    there_and_back(spark, database, tmp_path, file_format, options)
    assert differing(session) == []
    assert session.run("SELECT count(*) FROM u") == [[len(texts()) + 3]]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("s text", "NULL", "holds NULL, which a CSV of one column cannot"),
        ("d date", "'0044-03-15 BC'", "a year before 1"),
    ],
)
def test_what_a_csv_could_not_give_back_is_refused(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, column: str, value: str, reason: str
) -> None:
    session.run(f"CREATE TABLE t ({column}); INSERT INTO t VALUES ({value})")
    with pytest.raises(ExtractError, match=reason):
        there_and_back(spark, database, tmp_path, "csv", {"header": "true"})


def test_a_csv_of_one_column_holds_null_by_a_text_that_stands_for_it(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (s text); INSERT INTO t VALUES (NULL), (''), ('a'); CREATE TABLE u (LIKE t)")
    there_and_back(spark, database, tmp_path, "csv", {"header": "true", "nullValue": "<NULL>"})
    assert differing(session) == []
