"""Vectors, hstore and composite types: what Spark holds is loaded into them, and comes back equal."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from extensions import server_with_vectors, version_of
from extracts import extracted
from pgcopies import end_sidecars, options_for
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.compare import compare_dataframe
from jobs.flows.extract.job import FilesJob
from jobs.flows.extract.job import run as run_extract
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.load.files import Files
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.sources import load as load_files


@dataclass(frozen=True)
class Database:
    """A database of a test, with a session."""

    settings: Settings
    session: Session


@contextmanager
def database_on(server: Settings) -> Iterator[Database]:
    name = f"pgjobs_test_{uuid.uuid4().hex[:12]}"
    with connect(server, "pgjobs tests") as admin:
        admin.run(f"CREATE DATABASE {quote_name(name)}")
        settings = replace(server, dbname=name)
        with connect(settings, "pgjobs tests") as session:
            yield Database(settings, session)
        admin.run(f"DROP DATABASE {quote_name(name)} WITH (FORCE)")


@pytest.fixture(scope="module")
def vector_server(server: Settings) -> Iterator[Settings]:
    with server_with_vectors(server) as found:
        yield found


@pytest.fixture
def vectors(vector_server: Settings) -> Iterator[Database]:
    """A database with pgvector, in a schema that is on nobody's path."""
    with database_on(vector_server) as database:
        database.session.run("CREATE SCHEMA far; CREATE EXTENSION vector SCHEMA far")
        yield database


EMBEDDED = """
SELECT 1 AS id, array(1F, -0.0F, 0.1F) AS a, array(CAST(0.5 AS double), 65504) AS h, array(array(1F, 2F), NULL) AS many
UNION ALL SELECT 2, array(float('1e-45'), float('3.4028235e38'), -3e-20F), array(CAST(-1 AS double), 2),
    CAST(array() AS array<array<float>>)
UNION ALL SELECT 3, NULL, NULL, NULL
"""
TYPES = {"a": "far.vector(3)", "h": "far.halfvec(2)", "many": "far.vector(2)[]"}


def test_vectors_are_loaded_with_an_index_and_come_back_equal(spark: SparkSession, vectors: Database) -> None:
    df = spark.sql(EMBEDDED)
    report = load_dataframe(
        df,
        table="t",
        settings=vectors.settings,
        column_types=TYPES,
        indexes=["USING hnsw (a far.vector_l2_ops)", "USING hnsw (h far.halfvec_cosine_ops)"],
        verify=True,
    )
    assert report.verified is not None
    assert (report.verified.columns, report.verified.not_compared) == (("id", "a"), ("h", "many"))
    assert vectors.session.run("SELECT a::text, h::text, many::text FROM t ORDER BY id") == [
        ["[1,-0,0.1]", "[0.5,65504]", '{"[1,2]",NULL}'],
        ["[1e-45,3.4028235e+38,-3e-20]", "[-1,2]", "{}"],
        [None, None, None],
    ]
    schema = "struct<id:int,a:array<float>,h:array<float>,many:array<array<float>>>"
    expected = sorted(map(str, df.selectExpr("id", "a", "CAST(h AS array<float>) AS h", "many").collect()))
    for arrow in (True, False):
        with extracted(spark, vectors.settings, "t", arrow) as back:
            assert back.schema.simpleString() == schema
            assert sorted(map(str, back.collect())) == expected
    compared = df.drop("many")
    assert compare_dataframe(compared, table="t", settings=vectors.settings, keys=["id"]).collect() == []


BAD = {
    "array(1F, 2F)": 'column "a": expected 3 dimensions, not 2',
    "array(1F, 2F, 3F, 4F)": 'column "a": expected 3 dimensions, not 4',
    "CAST(array() AS array<float>)": 'column "a": vector must have at least 1 dimension',
    "array(1F, NULL, 2F)": 'column "a": invalid input syntax for type vector',
    "array(1F, float('NaN'), 2F)": 'column "a": NaN not allowed in vector',
    "array(1F, float('-inf'), 2F)": 'column "a": infinite value not allowed in vector',
}


def test_a_vector_of_another_size_is_refused_by_its_column_and_both_sizes(
    spark: SparkSession, vectors: Database
) -> None:
    vectors.session.run("CREATE TABLE t (id int, a far.vector(3))")
    with pytest.raises(LoadError, match=r'column "a": expected 3 dimensions, not 2'):
        load_dataframe(spark.sql("SELECT 1 AS id, array(1F, 2F) AS a"), table="t", settings=vectors.settings)


def test_vectors_that_a_column_cannot_hold_are_put_aside_each_with_its_reason(
    spark: SparkSession, vectors: Database
) -> None:
    vectors.session.run("CREATE TABLE t (id int, a far.vector(3))")
    values = [*BAD, "array(0.5F, 0.5F, 0.5F)"]
    query = " UNION ALL ".join(f"SELECT {place} AS id, {value} AS a" for place, value in enumerate(values))
    report = load_dataframe(spark.sql(query), table="t", settings=vectors.settings, on_error="quarantine")
    assert report.rows_rejected == len(BAD)
    assert vectors.session.run("SELECT id, a::text FROM t") == [[len(BAD), "[0.5,0.5,0.5]"]]
    rejected = vectors.session.run("SELECT column_name, message FROM t_rejects ORDER BY (row ->> 'id')::int")
    assert [column for column, _ in rejected] == ["a"] * len(BAD)
    assert [told for (_, message), told in zip(rejected, BAD.values()) if told not in message] == []


def test_pgcopy_writes_and_reads_vectors(spark: SparkSession, vectors: Database, tmp_path: Path) -> None:
    if spark.version < "4":
        pytest.skip("Python data sources are Spark 4's")
    vectors.session.run("CREATE TABLE t (id int, a far.vector(3), h far.halfvec(2), many far.vector(2)[])")
    df, options = spark.sql(EMBEDDED), options_for(vectors.settings, tmp_path)
    df.drop("many").write.format("pgcopy").options(**options).option("table", "t").mode("append").save()
    vectors.session.run("UPDATE t SET many = ARRAY['[1,2]', NULL]::far.vector[] WHERE id = 1")
    vectors.session.run("UPDATE t SET many = '{}' WHERE id = 2")
    back = spark.read.format("pgcopy").options(**options).option("table", "t").load()
    expected = df.selectExpr("id", "a", "CAST(h AS array<float>) AS h", "many")
    assert sorted(map(str, back.collect())) == sorted(map(str, expected.collect()))
    end_sidecars(vectors.session)


PLACES = """
CREATE TYPE street AS (name text, number int);
CREATE TYPE address AS (city text, streets street[], main street, since timestamptz, codes int[]);
CREATE DOMAIN home AS address CHECK ((VALUE).city <> 'nowhere');
CREATE TABLE t (id int, a address, many address[], h home)
"""

LIVED = """
SELECT id, named_struct(
    'Main', named_struct('number', id, 'name', concat('a, (b) "c" ', chr(92), chr(9), chr(10))),
    'city', IF(id = 2, '', 'x'), 'streets', array(named_struct('name', 'y"', 'number', 1L), NULL),
    'since', timestamp'2026-07-01 05:30:00.000001Z', 'codes', array(1, NULL)
) AS a, IF(id = 1, array(), array(named_struct('city', 'NULL'), NULL)) AS many,
    IF(id = 3, named_struct('city', 'z'), NULL) AS h
FROM range(1, 4)
"""

Load = Callable[[str], None]


@pytest.fixture
def load(spark: SparkSession, database: Settings) -> Load:
    def run(query: str) -> None:
        load_dataframe(spark.sql(query), table="t", settings=database)

    return run


def test_structs_are_loaded_into_composite_types_by_the_names_of_their_fields(load: Load, session: Session) -> None:
    session.run(PLACES)
    load(LIVED)
    session.run("SET TimeZone = 'UTC'")
    found = session.run(
        "SELECT (a).city, ((a).main).name, ((a).streets)[1].name, many::text, h::text FROM t ORDER BY id"
    )
    name = 'a, (b) "c" \\\t\n'
    assert found == [
        ["x", name, 'y"', "{}", None],
        ["", name, 'y"', '{"(NULL,,,,)",NULL}', None],
        ["x", name, 'y"', '{"(NULL,,,,)",NULL}', "(z,,,,)"],
    ]
    whole = "SELECT DISTINCT (a).streets::text, (a).since::text, (a).codes::text, ((a).main).number - id FROM t"
    assert session.run(whole) == [['{"(\\"y\\"\\"\\",1)",NULL}', "2026-07-01 05:30:00.000001+00", "{1,NULL}", 0]]


def test_composite_types_come_back_as_structs_that_compare_equal(
    spark: SparkSession, load: Load, session: Session, database: Settings
) -> None:
    session.run(PLACES)
    load(LIVED)
    with extracted(spark, database, "t") as df:
        assert df.schema["a"].dataType.simpleString() == (
            "struct<city:string,streets:array<struct<name:string,number:int>>,main:struct<name:string,number:int>,"
            "since:timestamp,codes:array<int>>"
        )
        back = df.localCheckpoint()
    assert back.where("h IS NULL").count() == 2
    assert compare_dataframe(back, table="t", settings=database, keys=["id"]).collect() == []
    session.run("UPDATE t SET a.main.number = 0 WHERE id = 2")
    [differing] = compare_dataframe(back, table="t", settings=database, keys=["id"]).collect()
    assert (differing["id"], differing["columns"]) == (2, ["a"])


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            "SELECT named_struct('town', 'x') AS a",
            "'a' .*does not fit public.address: its field 'town' is none of city",
        ),
        (
            "SELECT named_struct('codes', array('x')) AS a, map('a', 1) AS h",
            "'h' is a map<string,int>, which does",
        ),
        ("SELECT map('city', 'x') AS many", "'many' is a map<string,string>, which does not fit public.address\\[\\]"),
    ],
)
def test_a_struct_that_does_not_fit_is_refused_before_anything_is_copied(
    load: Load, session: Session, query: str, told: str
) -> None:
    session.run(PLACES)
    with pytest.raises(UsageError, match=told):
        load(query)


def test_a_value_in_a_composite_type_is_refused_by_its_column(load: Load, session: Session) -> None:
    session.run(PLACES)
    with pytest.raises(LoadError, match=r'column "h": value for domain home violates check constraint'):
        load("SELECT named_struct('city', 'nowhere') AS h")
    with pytest.raises(LoadError, match=r"cannot contain NUL, and there are some in a\."):
        load("SELECT named_struct('city', 'a\\0b') AS a")


def test_a_struct_of_nulls_is_no_null_to_a_load_that_verifies_or_puts_rows_aside(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run(f"{PLACES}; ALTER TABLE t ALTER a SET NOT NULL")
    df = spark.sql("SELECT 1 AS id, named_struct('city', CAST(NULL AS string)) AS a")
    report = load_dataframe(df, table="t", settings=database, verify=True, on_error="quarantine")
    assert report.rows_rejected == 0
    assert session.run("SELECT a::text FROM t") == [["(,,,,)"]]


@pytest.mark.parametrize(
    ("file_format", "columns"),
    [
        ("csv", {"id": "int", "a": "string", "h": "string"}),
        ("json", {"id": "int", "a": "string", "many": "array<string>"}),
    ],
)
def test_csv_and_json_have_the_texts_of_composite_types_from_which_they_are_loaded_as_they_were(
    spark: SparkSession,
    load: Load,
    session: Session,
    database: Settings,
    tmp_path: Path,
    file_format: str,
    columns: dict[str, str],
) -> None:
    session.run(PLACES)
    load(LIVED)
    session.run("CREATE TABLE copy (LIKE t)")
    target, wanted = str(tmp_path / "files"), Wanted(TableName("t"), columns=tuple(columns))
    run_extract(FilesJob(wanted, database, target, file_format), lambda: spark)
    schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    load_files(
        LoadJob(TableName("copy"), database, new_load_id()), Files([target], file_format, [], schema), lambda: spark
    )
    left, right = (f"SELECT {', '.join(f'{name}::text' for name in columns)} FROM {table}" for table in ("t", "copy"))
    assert session.run(f"({left} EXCEPT ALL {right}) UNION ALL ({right} EXCEPT ALL {left})") == []


@pytest.fixture
def pairs(session: Session) -> None:
    """A table with hstore, in a schema that is on nobody's path."""
    if not version_of(session, "hstore"):
        pytest.skip("this server has no hstore")
    session.run("CREATE SCHEMA far; CREATE EXTENSION hstore SCHEMA far; CREATE TABLE t (id int, h far.hstore)")


@pytest.mark.usefixtures("pairs")
def test_maps_are_loaded_into_hstore_and_come_back_equal(
    spark: SparkSession, load: Load, session: Session, database: Settings
) -> None:
    awkward = "concat('=>\",', chr(92), chr(10))"
    query = (
        f"SELECT 1 AS id, map('b', 'NULL', 'a', NULL, {awkward}, {awkward}) AS h UNION ALL SELECT 2, map('', '') "
        "UNION ALL SELECT 3, CAST(map() AS map<string,string>) UNION ALL SELECT 4, NULL"
    )
    load(query)
    assert session.run(
        "SELECT id, far.akeys(h), far.fetchval(h, 'a'), far.hstore_to_json(h)::text FROM t WHERE id > 1 ORDER BY 1"
    ) == [
        [2, [""], None, '{"": ""}'],
        [3, [], None, "{}"],
        [4, None, None, None],
    ]
    with extracted(spark, database, "t") as df:
        assert df.schema["h"].dataType.simpleString() == "map<string,string>"
        back = {row["id"]: row["h"] for row in df.collect()}
    text = '=>",\\\n'
    assert back == {1: {"b": "NULL", "a": None, text: text}, 2: {"": ""}, 3: {}, 4: None}
    assert compare_dataframe(spark.sql(query), table="t", settings=database, keys=["id"]).collect() == []
    session.run("UPDATE t SET h = 'a=>1' WHERE id = 3")
    [differing] = compare_dataframe(spark.sql(query), table="t", settings=database, keys=["id"]).collect()
    assert differing["id"] == 3


@pytest.mark.usefixtures("pairs")
def test_numbers_and_flags_become_texts_in_hstore_and_nested_values_are_refused(load: Load, session: Session) -> None:
    load("SELECT 1 AS id, map(1, true) AS h")
    assert session.run("SELECT h::text FROM t") == [['"1"=>"true"']]
    with pytest.raises(UsageError, match=r"'h' is a map<string,array<int>>, .*: keys and values have to be text"):
        load("SELECT 1 AS id, map('a', array(1)) AS h")


POINT, WITH_SRID = "0101000000000000000000F03F0000000000000040", "0101000020E6100000000000000000F03F0000000000000040"
"""The point (1 2) as WKB, and as PostGIS writes it with the reference system 4326."""


def test_wkb_is_loaded_into_geometries_and_comes_back_with_its_reference_system(
    spark: SparkSession, load: Load, session: Session, database: Settings
) -> None:
    if not version_of(session, "postgis"):
        pytest.skip("this server has no PostGIS")
    session.run("CREATE SCHEMA far; CREATE EXTENSION postgis SCHEMA far")
    session.run(
        "CREATE TABLE t (id int, g far.geometry(Point,4326), p far.geography, many far.geometry[], boxes box[])"
    )
    session.run("CREATE TABLE copy (LIKE t)")
    one = f"SELECT 1 AS id, x'{POINT}' AS g, x'{WITH_SRID}' AS p, array(x'{POINT}', NULL, x'{POINT}') AS many"
    load(f"{one}, array('(1,1),(0,0)', '(3,3),(2,2)') AS boxes UNION ALL SELECT 2, NULL, NULL, NULL, array()")
    assert session.run(
        "SELECT far.ST_AsEWKT(g), far.ST_AsText(p), far.ST_AsText(many[3]), cardinality(many), boxes::text FROM t "
        "WHERE id = 1"
    ) == [["SRID=4326;POINT(1 2)", "POINT(1 2)", "POINT(1 2)", 3, "{(1,1),(0,0);(3,3),(2,2)}"]]
    with extracted(spark, database, "t") as df:
        [first, second] = sorted(df.collect())
        assert [first["g"].hex().upper(), first["p"].hex().upper()] == [WITH_SRID, WITH_SRID]
        assert (second["g"], second["p"]) == (None, None)
        load_dataframe(df, table="copy", settings=database)
    assert session.run("SELECT t::text FROM t EXCEPT ALL SELECT copy::text FROM copy") == []
    broken = spark.sql(f"SELECT id, if(id = 7, unhex(substr('{POINT}', 1, 20)), x'{POINT}') AS g FROM range(5, 9)")
    report = load_dataframe(broken, table="t", settings=database, on_error="quarantine")
    assert (report.rows_inserted, report.rows_rejected) == (3, 1)
    assert session.run("SELECT row->>'id', column_name, reason, sqlstate FROM t_rejects") == [
        ["7", "g", "invalid_value", "XX000"]
    ]
    with pytest.raises(UsageError, match="'g' is binary and geometry; 'p' is binary and geography"):
        compare_dataframe(
            spark.sql("SELECT 1 AS id, x'00' AS g, x'00' AS p"), table="t", settings=database, keys=["id"]
        )
