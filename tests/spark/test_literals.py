"""Vectors, hstore, composites and geometries as the server parses them: each level of nesting escapes the one below."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import SparkSession

from jobs.copyformat.encode_spark import encode
from jobs.copyformat.match_columns import Match
from jobs.dbaccess.catalog.kinds import COMPOSITE, GEOMETRY, HALFVEC, HSTORE, VECTOR
from jobs.dbaccess.catalog.tables import Column
from jobs.spark.nul import Cleaning, cleaned

INT, TEXT = Column("n", "integer", "int4", "N"), Column("s", "text", "text", "S")
MOMENT = Column("at", "timestamp with time zone", "timestamptz", "D")
TEXTS = Column("tags", "text[]", "_text", "A", element="text", element_category="S")
BYTES, JSON = Column("x", "bytea", "bytea", "U"), Column("j", "jsonb", "jsonb", "U")
VECTORS = Column("", "vector(2)", "vector", "U", kind=VECTOR)
PAIRS = Column("", "hstore", "hstore", "U", kind=HSTORE)
SHAPE = Column("", "geometry", "geometry", "U", kind=GEOMETRY)


def composite(*fields: Column, name: str = "") -> Column:
    return Column(name, "a", "a", "C", kind=COMPOSITE, fields=fields)


def array_of(column: Column) -> Column:
    return replace(column, type_name=f"{column.type_name}[]", category="A", element=column.base_type)


PAIR = composite(INT, TEXT)
NESTED = composite(TEXT, composite(INT, TEXT, name="p"), TEXTS)

CASES: list[tuple[str, Column, str]] = [
    ("array(1.5F, -0.0F, 1e-20F)", VECTORS, "[1.5,-0.0,1.0E-20]"),
    ("array(CAST(0.1 AS double), 2)", replace(VECTORS, kind=HALFVEC), "[0.1,2.0]"),
    ("array(1, NULL)", VECTORS, "[1,NULL]"),  # which the server refuses
    ("CAST(array() AS array<float>)", VECTORS, "[]"),  # likewise
    ("CAST(NULL AS array<float>)", VECTORS, r"\N"),
    ("array(array(1F, 2F), NULL)", array_of(VECTORS), '{"[1.0,2.0]",NULL}'),
    ("map('a', 1, 'b', NULL)", PAIRS, '"a"=>"1","b"=>NULL'),
    ("map('', '')", PAIRS, '""=>""'),
    ("CAST(map() AS map<string,string>)", PAIRS, ""),
    ("CAST(NULL AS map<string,string>)", PAIRS, r"\N"),
    ("map(concat('a\"', chr(92)), concat('=>,', chr(9)))", PAIRS, r'"a\\"\\\\"=>"=>,\t"'),
    ("map(date'2026-11-22', true)", PAIRS, '"2026-11-22"=>"true"'),
    ("array(map('a', 'b'))", array_of(PAIRS), r'{"\\"a\\"=>\\"b\\""}'),
    ("named_struct('n', 1, 's', 'a')", PAIR, '("1","a")'),
    ("named_struct('s', 'a', 'n', 1)", PAIR, '("1","a")'),  # by name
    ("named_struct('S', 'a')", PAIR, '(,"a")'),
    ("named_struct('n', CAST(NULL AS int), 's', '')", PAIR, '(,"")'),
    ("named_struct('n', CAST(NULL AS int), 's', CAST(NULL AS string))", PAIR, "(,)"),
    ("IF(rand() > 2, named_struct('n', 1), NULL)", PAIR, r"\N"),
    ("named_struct('s', concat('(,)\" ', chr(92), chr(10)))", composite(TEXT), r'("(,)\\" \\\\\n")'),
    ("named_struct('n', 7)", composite(INT), '("7")'),
    ("named_struct('n', CAST(NULL AS int))", composite(INT), "()"),
    (
        "named_struct('s', 'x', 'p', named_struct('n', 1, 's', 'a\"b'), 'tags', array('c,', NULL))",
        NESTED,
        r'("x","(\\"1\\",\\"a\\\\\\"b\\")","{\\"c,\\",NULL}")',
    ),
    ("array(named_struct('n', 1, 's', 'a\"b'), NULL)", array_of(PAIR), r'{"(\\"1\\",\\"a\\\\\\"b\\")",NULL}'),
    ("array(array(named_struct('n', 1)), array(NULL))", array_of(PAIR), r'{{"(\\"1\\",)"},{NULL}}'),
    ("named_struct('x', x'00ff')", composite(BYTES), r'("\\\\x00FF")'),
    ("named_struct('j', named_struct('k', 'v'))", composite(JSON), r'("{\\"k\\":\\"v\\"}")'),
    ("named_struct('at', timestamp'1970-01-01 00:00:01Z')", composite(MOMENT), '("J2440588 000001.000000+00")'),
    ("named_struct('a.b', 1, 'A.B', 2)", composite(replace(INT, name="a.b"), replace(INT, name="A.B")), '("1","2")'),
    ("x'0101ff'", SHAPE, "0101FF"),
    ("'POINT(1 2)'", SHAPE, "POINT(1 2)"),
]


def test_each_value_is_written_as_the_server_parses_it(spark: SparkSession) -> None:
    rows = spark.range(1).selectExpr(*(f"{value} AS c{place}" for place, (value, _, _) in enumerate(CASES)))
    matches = [
        Match(field.name, field.dataType, replace(column, name=column.name or field.name))
        for field, (_, column, _) in zip(rows.schema, CASES)
    ]
    [[line]] = encode(rows, matches).collect()
    written = line.removesuffix("\n").split("\t")
    assert dict(zip([value for value, _, _ in CASES], written)) == {value: text for value, _, text in CASES}


def test_nul_is_stripped_at_any_depth(spark: SparkSession) -> None:
    rows = spark.sql("SELECT named_struct('s', 'a\\0b', 'tags', array('\\0')) AS a, map('k\\0', '\\0v') AS h")
    rows = cleaned(rows, Cleaning(""))
    columns = [composite(TEXT, TEXTS), PAIRS]
    matches = [Match(field.name, field.dataType, column) for field, column in zip(rows.schema, columns)]
    [[line]] = encode(rows, matches).collect()
    assert line == '("ab","{\\\\"\\\\"}")\t"k"=>"v"\n'
