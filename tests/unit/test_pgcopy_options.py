"""The options of the data source: read as the jobs read their flags."""

from __future__ import annotations

import pytest

from jobs.dbaccess.conninfo.settings import Server
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.defined import Defined
from jobs.pgcopy.options import LONGEST_BATCH, Options


def test_options_fill_in_what_the_environment_leaves_open() -> None:
    options = Options.parse({"HOST": "a.example.com", "dbName": "shop", "connectDeadline": "5"})
    settings = options.settings({"PGUSER": "me", "PGPORT": "6543"})
    assert (settings.servers, settings.dbname, settings.user) == ((Server("a.example.com", 6543),), "shop", "me")
    assert settings.timeouts.deadline == 5


def test_a_source_is_what_the_flags_of_the_extract_say() -> None:
    options = {"table": "s.t", "columns": "a,b", "splitBy": "id", "textColumns": "b", "parallelism": "4"}
    assert Options.parse(options).wanted() == Wanted(
        TableName("t", "s"), columns=("a", "b"), split_by="id", text_columns=("b",), parallelism=4
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"password": "secret"}, "a password must not be one"),
        ({"databaseUrl": "postgresql://me:secret@h/d"}, "a password must not be one"),
        ({"tabel": "t"}, "no option tabel"),
        ({"provider": "pgcopy", "owner": "me", "option.table": "t"}, "A table of Spark's catalog cannot be of pgcopy"),
    ],
)
def test_what_cannot_be_an_option_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Options.parse(given)
    assert "secret" not in str(caught.value).replace("secretId", "")


def test_a_value_that_cannot_be_right_is_refused_by_its_option() -> None:
    options = Options.parse({"parallelism": "0", "snapshotIdle": "long", "iamAuth": "maybe"})
    with pytest.raises(UsageError, match="The option parallelism is '0'"):
        options.number("parallelism")
    with pytest.raises(UsageError, match="The option snapshotIdle is 'long'"):
        options.seconds("snapshotIdle", 1.0)
    with pytest.raises(UsageError, match="The option iamAuth is 'maybe'"):
        options.flag("iamAuth")


def test_sparks_mode_and_the_option_do_not_contradict_each_other() -> None:
    assert Options.parse({"mode": "upsert", "keys": "id"}).move(overwrite=False).keys == ("id",)
    assert Options.parse({}).move(overwrite=True).mode == "overwrite"
    assert Options.parse({"mode": "replace-partitions"}).move(overwrite=True).replaces_partitions
    for options, overwrite in (
        ({"mode": "upsert", "keys": "id"}, True),
        ({"mode": "overwrite"}, False),
        ({"mode": "replace-partitions"}, False),
    ):
        with pytest.raises(UsageError, match="does not match Spark's own mode"):
            Options.parse(options).move(overwrite)


def test_no_share_leaves_the_default_limit_of_deletes() -> None:
    given = {"mode": "upsert", "keys": "id", "deleteMissing": "true"}
    assert Options.parse(given).move(overwrite=False).max_delete_share is None
    assert Options.parse({**given, "maxDeleteShare": "1"}).move(overwrite=False).max_delete_share == 1


@pytest.mark.parametrize("load_id", ["", " ", "a\0b", "x" * 2693])
def test_a_load_id_that_cannot_be_recorded_is_refused(load_id: str) -> None:
    with pytest.raises(UsageError, match="The option loadId"):
        Options.parse({"loadId": load_id}).identity("loadId")
    assert Options.parse({}).identity("loadId") is None


@pytest.mark.parametrize("stream", ["", " ", "a\0b", "x" * 2673])
def test_a_stream_id_that_cannot_be_recorded_with_each_of_its_batches_is_refused(stream: str) -> None:
    with pytest.raises(UsageError, match="The option streamId"):
        Options.parse({"streamId": stream}).identity("streamId", LONGEST_BATCH)
    assert Options.parse({"streamId": "x" * 2672}).identity("streamId", LONGEST_BATCH) == "x" * 2672


@pytest.mark.parametrize("name", ["secretId", "ssmParameter"])
def test_an_empty_name_of_a_secret_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is empty"):
        Options.parse({name: "", "host": "h", "dbname": "d", "user": "u"}).settings({})


def test_filters_are_not_taken_from_spark_and_the_way_to_give_one_is_told() -> None:
    with pytest.raises(UsageError, match=r"takes no filters from Spark.* The option filter, in SQL"):
        Options.parse({"pushFilters": "true"})


def test_columns_of_ones_own_are_one_as_the_flag_has_it_or_several_as_json() -> None:
    one = Options.parse({"columnType": "fare=numeric(8,2)", "nullValue": "NA"})
    several = Options.parse({"metadataColumns": '{"at": "timestamptz", "a=b": "int"}', "nullValue": '["NA", ""]'})
    assert one.defined() == Defined.of({"fare": "numeric(8,2)"}, {})
    assert several.defined() == Defined.of({}, {"at": "timestamptz", "a=b": "int"})
    assert (one.null_values(), several.null_values()) == (("NA",), ("NA", ""))
    assert Options.parse({"nullValue": ""}).null_values() == ("",)
    assert Options.parse({}).null_values() == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"columnType": "{id: bigserial}"}, "Give a JSON object"),
        ({"columnType": '{"id": 1}'}, "Give a JSON object"),
        ({"columnType": "bigserial"}, "is not NAME=TYPE"),
        ({"columnType": "a=int", "metadataColumns": "a=int"}, "defines a more than once"),
        ({"schemaMode": "loose"}, "--schema-mode 'loose' is not one of strict, add-columns, widen"),
        ({"nullValue": '["NA"'}, "Give a JSON array"),
        ({"nullValue": "[1]"}, "Give a JSON array"),
    ],
)
def test_columns_of_ones_own_that_cannot_be_are_refused(given: dict[str, str], message: str) -> None:
    options = Options.parse(given)
    with pytest.raises(UsageError, match=message):
        (options.null_values if "nullValue" in given else options.defined)()
