"""Says of a row that failed the load where it comes from: its file, and its place there, where Spark knows them.

Nothing of this is known while rows are copied, so that a load without bad rows does not pay for it. The part of the row
is computed once more, and not sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, MapType, StructType

from jobs.dbaccess.copy_text import parse_line
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.copying.parts import Counted, Refused
from jobs.dbaccess.load.copying.receipts import PartFailed
from jobs.dbaccess.sqlstates import NOT_UTF8, UNTRANSLATABLE
from jobs.flows.load.stage import Copying, Encoded, encode
from jobs.flows.load.targets.target import Target
from jobs.spark import nul
from jobs.spark.origins import Line, Origin, file_names
from jobs.spark.plans.recomputed import reads_shuffles
from jobs.spark.plans.repeatable import keeps_order
from jobs.spark.tasks.load_tasks import line_like, line_of
from jobs.spark.tasks.scheduling import job_group

Find = Callable[[Iterable[Counted]], list[Line]]

_LONGEST_VALUE = 200
"""Characters of a value that a message shows."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Where the rows of a load come from, and how they were encoded.

    Attributes:
        lacking: Returns those of the rows' characters that the encoding of the database lacks.
    """

    df: DataFrame
    target: Target
    copying: Copying
    encoded: Encoded
    lacking: Callable[[DataFrame], str]
    show_values: bool = False


@contextmanager
def failures_explained(source: Source) -> Iterator[None]:
    """If a part fails because of a row, name its columns, its file and its place in it.

    Raises:
        LoadError: A part failed.
    """
    try:
        yield
    except PartFailed as failure:
        where = "" if failure.refused is None else _where(source, failure, failure.refused)
        if NOT_UTF8 in failure.message:
            _raise_not_utf8(source.df, source.target, where)
        if UNTRANSLATABLE in failure.message:
            _raise_untranslatable(source, where)
        if not where:
            raise
        raise PartFailed(f"{failure.message} {where}", failure.hint, failure.refused) from None


def _found(source: Source, refused: Refused) -> Line | None:
    """Return the line of a row of a part, by computing the part once more; None if that does not succeed.

    If another plan may read the rows in another order, the plan of the load says which line it was.
    """
    group = f"{source.target.name}, refused row"
    again = encode(source.df, source.target, source.copying, group, merges=source.encoded.merges, with_origins=True)
    if again.parts != source.encoded.parts:
        return None
    if keeps_order(source.df):
        return _computed(again, line_of(refused.row), refused.part, group)
    line = _computed(source.encoded, line_of(refused.row), refused.part, group)
    return None if line is None else _computed(again, line_like(line.text), refused.part, group)


def _computed(encoded: Encoded, find: Find, part: int, group: str) -> Line | None:
    context = encoded.blocks.context
    with job_group(context, group, "pgjobs: the file of a refused row"):
        try:
            found = context.runJob(encoded.blocks, find, [part])
        except Exception as error:  # noqa: BLE001 - of whatever kind, what is to be told is the failure of the load
            logger.debug("The refused row could not be read again: %s", error)
            return None
    return found[0] if found else None


def _where(source: Source, failure: PartFailed, refused: Refused) -> str:
    """Return where a row comes from. After a shuffle, no file is known, and to compute the part again costs more."""
    place = f"row {refused.row:,} of part {refused.part}"
    is_known = source.show_values or not reads_shuffles(source.encoded.blocks)
    line = _found(source, refused) if is_known else None
    if line is None:
        return f"The row: {place}."
    origin = Origin.parse(line.origin)
    file = file_names(source.df, [origin.file]).get(origin.file)
    if file is not None:
        place = f"{file}, row {origin.row:,}" if origin.row is not None else f"{file}, {place}"
    text = f"The row: {place}."
    return f"{text} {shown_values(source, line, failure.message)}" if source.show_values else text


def shown_values(source: Source, line: Line, message: str) -> str:
    """Return the value of the column that the message names, or the row if it names none."""
    values = dict(zip(source.target.columns, parse_line(line.text)))
    named = {name: value for name, value in values.items() if f'column "{name}"' in message}
    shown = ", ".join(f"{name} = {_shown(value)}" for name, value in (named or values).items())
    return f"Its value: {shown}." if named else f"Its values: {shown}."


def _shown(value: str | None) -> str:
    if value is None:
        return "NULL"
    return repr(value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}...")


def _raise_not_utf8(df: DataFrame, target: Target, where: str) -> None:
    """Raise an error that names the columns whose text contains NUL or is not UTF-8, if there are any."""
    where = f" {where}" if where else ""
    strings = [match.source for match in target.matches if nul.may_hold(match.spark_type)]
    columns = nul.columns_with_nul(df, strings)
    if columns:
        raise LoadError(
            f"PostgreSQL's text cannot contain NUL, and there are some in {', '.join(columns)}.{where}",
            "Nothing was loaded. Clean the column, or give --nul strip to remove them, or --nul replace.",
        ) from None
    nested = [m.source for m in target.matches if isinstance(m.spark_type, (StructType, MapType, ArrayType))]
    columns = nul.columns_not_utf8(df, list(dict.fromkeys([*strings, *nested])))
    if columns:
        raise LoadError(
            f"Text in {', '.join(columns)} holds bytes that are not UTF-8.{where}",
            "Nothing was loaded. Decode it from its own encoding (a CSV file by --option encoding=ISO-8859-1, say), or "
            "cast the column to binary. --nul strip or replace changes these bytes only.",
        ) from None


def _raise_untranslatable(source: Source, where: str) -> None:
    """Raise an error that names the columns with characters that the database's encoding lacks, if there are any."""
    names = [match.source for match in source.target.matches if nul.may_hold(match.spark_type)]
    lacking = source.lacking(source.df)
    columns = nul.columns_with_any(source.df, names, lacking) if lacking else []
    if columns:
        where = f" {where}" if where else ""
        raise LoadError(
            f"Text in {', '.join(columns)} holds a character that the encoding of the database lacks.{where}",
            "Nothing was loaded. Clean the column, load into a database of the encoding UTF8, or give --nul strip or "
            "replace, which change such characters only.",
        ) from None
