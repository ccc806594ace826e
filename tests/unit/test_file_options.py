"""Options of readers and writers of files: what Spark would pass over in silence is refused."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.flows.file_options import are_headers_own, mode_of, parse_options, to_read, to_write


@pytest.mark.parametrize(
    ("texts", "file_format", "told"),
    [
        (["header"], "csv", "--option 'header' is not of the form K=V"),
        (["=true"], "csv", "is not of the form K=V"),
        (["nullValue=a", "nullvalue=b"], "csv", "--option nullvalue is repeated"),
        (["heder=true"], "csv", "no option heder for csv. Did you mean header?"),
        (["schema=id INT"], "csv", "--option schema does nothing. Give --schema"),
        (["header=true"], "parquet", "no option header for parquet. It has basePath, "),
        (["header=true"], "json", "no option header for json"),
        (["path=x"], "orc", "no option path for orc"),
    ],
)
def test_what_spark_would_pass_over_is_refused(texts: list[str], file_format: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(texts, file_format)
    assert told in str(caught.value)


def test_options_are_known_in_letters_of_any_case_and_keep_all_that_follows_the_first_equals_sign() -> None:
    texts = ["HEADER=true", "sep==", "pathGlobFilter=*.csv", "fs.s3a.endpoint=x"]
    stated = {"HEADER": "true", "sep": "=", "pathGlobFilter": "*.csv", "fs.s3a.endpoint": "x"}
    assert parse_options(texts, "csv") == stated


def test_a_mode_that_spark_does_not_have_is_refused() -> None:
    assert mode_of({}) == "FAILFAST"
    assert mode_of({"MODE": "permissive"}) == "PERMISSIVE"
    with pytest.raises(UsageError, match="mode=FASTFAIL is not one of Spark's modes"):
        mode_of({"mode": "FASTFAIL"})


def test_what_was_stated_wins_over_what_is_chosen() -> None:
    assert to_read("csv", {"nullvalue": "NA", "MULTILINE": "false"}) == {
        "nullvalue": "NA",
        "MULTILINE": "false",
        "columnPruning": "false",
        "unescapedQuoteHandling": "RAISE_ERROR",
    }
    assert "unescapedQuoteHandling" not in to_read("csv", {"mode": "PERMISSIVE"})
    assert to_write("json", {"ignoreNullFields": "true"})["ignoreNullFields"] == "true"
    assert to_read("parquet", {}) == to_read("orc", {}) == {"mergeSchema": "true"}
    assert to_read("parquet", {"mergeschema": "false"}) == {"mergeschema": "false"}
    assert to_write("orc", {}) == {}


@pytest.mark.parametrize(
    ("names", "own"),
    [
        (["id", "name"], True),
        (["_c0", "name"], False),  # of an empty name
        (["id0", "x", "ID2"], False),  # of id,x,ID
        (["col0", "line1", "z2"], True),
        (["a1", "b"], True),
    ],
)
def test_headers_that_spark_changed_are_told_from_others(names: list[str], own: bool) -> None:
    assert are_headers_own(names) is own
