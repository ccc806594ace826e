"""Refuses a session in which a name that we use does not mean Spark's function.

Spark looks functions up by name: those of SQL text, and from Spark 4 on most of pyspark.sql.functions and the operators
of a Column. A temporary function of the user's, or one of an extension, takes the place of Spark's function of its
name, and values would be changed silently. (Functions of a catalog come after Spark's, and hide none.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pyspark.sql import SparkSession

from jobs.dbaccess.errors import UsageError

_USED = """
! % & * + - < <= <=> = == > >= abs and array array_compact array_contains array_distinct array_join array_sort bit_xor
coalesce collect_list concat concat_ws contains conv count count_if date_format date_from_unix_date decode div encode
endswith exists explode extract first flatten format_string from_json get get_json_object hash hex hour if in
input_file_name instr int is_valid_utf8 isnan isnotnull isnull java_method json_array_length left length lower lpad
make_valid_utf8 map map_entries map_values max md5 min minute named_struct negative not octet_length or parse_json
pmod raise_error regexp_extract regexp_replace replace right rlike round rpad rtrim shiftrightunsigned size sort_array
split startswith string struct substring substring_index sum timestamp_micros to_json transform transform_keys
transform_values translate unhex unix_date unix_micros unix_seconds xxhash64 year
"""
USED = frozenset(_USED.split())
"""The names that our expressions use. `tests/spark/test_function_names.py` holds that there are no others."""


def check_names(spark: SparkSession) -> None:
    """Check that the functions that we use are Spark's.

    Raises:
        UsageError: Some are not. The message names them.
    """
    # PySpark has no public access to the functions of a session.
    registry: Any = spark._jsparkSession.sessionState().functionRegistry()  # noqa: SLF001 - see above
    sparks = _sparks(spark.sparkContext._jvm)  # noqa: SLF001 - see above
    hidden = [
        name for name, (identifier, info) in sparks.items() if not info.equals(registry.lookupFunction(identifier))
    ]
    if hidden:
        raise UsageError(
            f"In this session, {', '.join(hidden)} does not mean Spark's own function, but another one that was "
            "registered under that name: values would be changed by it.",
            "Register it under another name, in a session of its own: spark.newSession() has Spark's functions.",
        )


@lru_cache(maxsize=1)
def _sparks(jvm: Any) -> dict[str, tuple[Any, Any]]:  # noqa: ANN401 - the JVM's objects
    """Return the identifiers of the names that we use, and what Spark says of its functions, if it has them."""
    catalyst = jvm.org.apache.spark.sql.catalyst
    builtin, identifier_of = catalyst.analysis.FunctionRegistry.builtin(), catalyst.FunctionIdentifier
    identifiers = {name: identifier_of(name) for name in sorted(USED)}
    return {name: (identifier, builtin.lookupFunction(identifier)) for name, identifier in identifiers.items()}
