"""A table or view of Spark's catalogs as a load reads it: of Iceberg and Delta, one version from begin to end."""

from __future__ import annotations

import logging
import re

from pyspark.sql import DataFrame, SparkSession

from jobs.copyformat.encode_spark import backquoted
from jobs.dbaccess.errors import UsageError
from jobs.flows.report import SourceTable
from jobs.flows.source_tables import CatalogTable, parts_of
from jobs.spark.plans.lake_tables import DELTA, ICEBERG, Version, places_of, version_of

_CATALOG = re.compile(r"spark\.sql\.catalog\.([^.]+)")
_SESSIONS_OWN = "spark_catalog"

_NOT_FOUND = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND", "REQUIRES_SINGLE_PART_NAMESPACE")
"""In the error classes of Spark for a table, a database or a catalog that is not there."""

_NO_CLASS = re.compile(r"Cannot find catalog plugin class for catalog '?([^':]+)'?: ([\w$]+(?:\.[\w$]+)*)")
_NO_SOURCE = re.compile(r"[Ff]ailed to find (?:the )?data source: (\w+(?:\.\w+)*)")

_JARS = "Submit with the jar that has it, and its settings: docs/lakes.md."

logger = logging.getLogger(__name__)


def read(spark: SparkSession, source: CatalogTable) -> tuple[DataFrame, SourceTable]:
    """Return the rows of a table, without `select`, and what was read.

    Raises:
        UsageError: There is no such table or version, or Spark lacks what reads it.
    """
    parts = parts_of(source.name)
    df = _table(spark, parts)
    version = version_of(df, parts)
    if source.version:
        df, version = _of_version(spark, parts, source.version, version)
    elif version.number and not version.is_settled:
        df = _table(spark, parts, _option(version.format), version.number)
    read_from = SourceTable(source.name, version.format, version.number, places_of(df))
    logger.info("Reading %s.", read_from.told())
    return df, read_from


def _of_version(
    spark: SparkSession, parts: tuple[str, ...], number: str, current: Version
) -> tuple[DataFrame, Version]:
    """Return the rows of a version of a table, with the columns that it had then.

    Raises:
        UsageError: The table has no versions, or not this one.
    """
    if not current.format:
        raise UsageError(
            f"{'.'.join(parts)} has no versions: it is not a table of Iceberg or Delta.", "Leave out --source-version."
        )
    try:
        if current.format == ICEBERG:
            df = _table(spark, (*parts, f"snapshot_id_{number}"))
        else:
            df = _table(spark, parts, _option(DELTA), number)
        return df, Version(current.format, number, is_settled=True)
    except Exception as error:  # noqa: BLE001 - of which kind it is depends on the format and its version
        raise UsageError(
            f"Spark cannot read version {number} of {'.'.join(parts)}: {_first_line(error)}",
            "It may have expired. Leave out --source-version for the current one.",
        ) from None


def _option(lake: str) -> str:
    """Return the option of Spark's reader that says which version is read."""
    return "snapshot-id" if lake == ICEBERG else "versionAsOf"


def _table(spark: SparkSession, parts: tuple[str, ...], option: str = "", value: str = "") -> DataFrame:
    """Return a table. Its name is given to Spark as quoted parts.

    Raises:
        UsageError: There is none, or Spark lacks what reads it.
    """
    name = ".".join(map(backquoted, parts))
    try:
        if option:
            return spark.read.option(option, value).table(name)
        spark.catalog.refreshTable(name)  # a session keeps the list of a table's files
        return spark.read.table(name)
    except Exception as error:
        own = translated(spark, parts, error)
        if own is None:
            raise
        raise own from None


def translated(spark: SparkSession, parts: tuple[str, ...], error: Exception) -> UsageError | None:
    """Return our own error for a table that cannot be read, or None for one that says enough."""
    name, message = ".".join(parts), _messages(error)
    lacking = _NO_CLASS.search(message)
    if lacking:
        return UsageError(f"The catalog {lacking[1]} needs {lacking[2]}, which Spark does not have.", _JARS)
    lacking = _NO_SOURCE.search(message)
    if lacking:
        return UsageError(f"{name} is a table of {lacking[1]}, which Spark cannot read here.", _JARS)
    named = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)  # of Spark 4, and of 3.5
    error_class = str(named() or "") if named else ""
    if not any(text in error_class for text in _NOT_FOUND):
        return None
    missing = error.getMessageParameters().get("relationName") or ""  # type: ignore[attr-defined] # Spark's errors have it
    if missing and not missing.endswith(".".join(map(backquoted, parts[-2:]))):
        return UsageError(f"{name} reads {missing}, which Spark does not find.", "Repair the view, or name a table.")
    catalogs = catalogs_of(spark)
    known = f"The catalogs of this session are {', '.join(catalogs)}"
    if len(parts) > 2 and parts[0] not in catalogs:  # noqa: PLR2004 - a database and a table name no catalog
        return UsageError(f"There is no catalog {parts[0]} for {name}.", f"{known}. docs/lakes.md has settings.")
    return UsageError(f"Spark finds no table {name}.", f"{known}. Check the database and the name.")


def catalogs_of(spark: SparkSession) -> list[str]:
    """Return the names of the catalogs that are configured. Spark itself lists those only that were used."""
    # PySpark 3.5 has no public way to all settings.
    lines = str(spark._jsparkSession.conf().getAll().mkString("\n")).split("\n")  # noqa: SLF001 - see above
    matches = (_CATALOG.fullmatch(line.partition(" -> ")[0]) for line in lines)
    return sorted({_SESSIONS_OWN, *(match[1] for match in matches if match)})


def _messages(error: Exception) -> str:
    """Return the messages of an error and its causes in the JVM."""
    texts, cause = [str(error)], getattr(error, "java_exception", None)
    while cause is not None:
        texts.append(str(cause.toString()))
        cause = cause.getCause()
    return "\n".join(texts)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
