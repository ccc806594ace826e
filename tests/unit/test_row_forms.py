"""In which form a value is hashed by Spark and by the server."""

from __future__ import annotations

import pytest
from pyspark.sql import types as t

from jobs.copyformat.match_columns import Match
from jobs.dbaccess.catalog.kinds import COMPOSITE
from jobs.dbaccess.catalog.tables import Column
from jobs.dbaccess.load.row_text import PRESENCE
from jobs.spark.row_forms import form_of


@pytest.mark.parametrize("name", ["json", "text", "uuid"])
@pytest.mark.parametrize("kind", [t.StructType([t.StructField("x", t.StringType())]), t.StringType()])
def test_a_composite_type_is_not_compared_as_the_type_whose_name_it_has(name: str, kind: t.DataType) -> None:
    own = Column("a", f"own.{name}", name, "C", kind=COMPOSITE)
    assert form_of(Match("a", kind, own)).kind == PRESENCE
