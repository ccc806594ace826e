"""What is told of an error that Spark raises while it reads."""

from __future__ import annotations

from jobs.copyformat.read_types import extract_column
from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn
from jobs.flows.extract.dataframe import error_of_spark


def test_sparks_error_of_a_refused_value_is_told_by_the_columns_name_and_shows_no_value() -> None:
    columns = [extract_column(SourceColumn(name, "date", BaseType("date"))) for name in ("a", "b")]
    told = error_of_spark("[USER_RAISED_EXCEPTION] pgjobs refused column 1. SQLSTATE: P0001", columns)
    assert told is not None
    assert told.message.startswith('The column "b" holds a value that its type in Spark cannot: ')
    assert told.hint == "Read it as text: --text-columns b."


def test_an_error_of_a_worker_is_told_in_its_own_words_and_others_are_left() -> None:
    error = 'Traceback\n  File "x"\njobs.dbaccess.snapshot.SnapshotLost: It is lost. Run it again.\n\tat org.apache'
    assert str(error_of_spark(error, [])) == "It is lost. Run it again."
    assert error_of_spark("java.lang.OutOfMemoryError: Java heap space", []) is None
