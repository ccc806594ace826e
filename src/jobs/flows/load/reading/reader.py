"""How files are read: their format, and the options of Spark's reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession

from jobs.dbaccess.errors import UsageError
from jobs.flows import file_options
from jobs.flows.report import SourceTable
from jobs.spark.sources import csv_bytes


@dataclass(frozen=True)
class Rows:
    """The rows of a source.

    Attributes:
        malformed: The number of records of files that Spark could not read: they are left out, or NULL in part.
        table: The table of Spark's catalogs that they are of, if it is one.
    """

    df: DataFrame
    malformed: int = 0
    table: SourceTable | None = None


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        stated: The options of Spark's reader that the user has given.
        schema: Columns and types as DDL; empty for those that Spark infers.
        selects: Whether a query chooses among the columns.
    """

    spark: SparkSession
    paths: Sequence[str]
    file_format: str
    stated: Mapping[str, str] = field(default_factory=dict)
    schema: str = ""
    selects: bool = False

    @property
    def mode(self) -> str:
        """What to do about malformed records, one of MODES.

        Raises:
            UsageError: There is no such mode.
        """
        return file_options.mode_of(self.stated)

    @property
    def of_bytes(self) -> Mapping[str, str]:
        """Options by which the reader of CSV reads bytes (see `csv_bytes`); empty if it decodes the files."""
        return csv_bytes.options_for(self.stated) if self.file_format == "csv" else {}

    @property
    def options(self) -> Mapping[str, str]:
        """All options of the reader."""
        return {**file_options.to_read(self.file_format, self.stated), **self.of_bytes}

    def is_true(self, option: str) -> bool:
        """Return whether the user has set an option to true."""
        return file_options.value_of(self.stated, option).lower() == "true"

    def reader(self, **others: str) -> DataFrameReader:
        """Return a reader with these options, and with others in their place."""
        return self.spark.read.format(self.file_format).options(**file_options.completed(others, self.options))

    def load(self, reader: DataFrameReader) -> DataFrame:
        """Return the rows of the files, by a reader."""
        return reader.load(list(self.paths))

    def with_schema(self, reader: DataFrameReader) -> DataFrameReader:
        """Return a reader with the schema, if any.

        Raises:
            UsageError: The schema is not a list of columns, or it has a type that the reader has not.
        """
        if not self.schema:
            return reader
        try:
            return reader.schema(self.schema)
        except ParseException as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(
                f"--schema {self.schema!r} is not a list of columns: {reason}", 'Write "id INT, name STRING".'
            ) from None
        except AnalysisException as error:
            if "char/varchar type" not in str(error):
                raise
            raise UsageError(
                f"--schema {self.schema!r} has columns of CHAR or VARCHAR, and Spark's readers of files have none.",
                "Write STRING. A column of the table checks the length of its values. If the load creates the table, "
                "give --column-type 'name=varchar(20)', too.",
            ) from None
