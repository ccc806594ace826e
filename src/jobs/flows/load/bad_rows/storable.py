"""Text without the characters that the server cannot store, if the user wants it so."""

from __future__ import annotations

from pyspark.sql import DataFrame

from jobs.copyformat.text.utf8 import REPLACEMENT
from jobs.dbaccess.catalog import encodings
from jobs.dbaccess.load.rejects.policy import ERROR, STRIP
from jobs.dbaccess.session import Session
from jobs.flows.load.stage import MALFORMED
from jobs.spark.nul import Cleaning, characters_of, cleaned
from jobs.spark.tasks.scheduling import job_group

_QUESTION_MARK = "?"
"""What stands for a character where the database's encoding lacks U+FFFD: all encodings have it."""


def storable(session: Session, df: DataFrame, on_nul: str) -> DataFrame:
    """Return the rows, with what is left out or replaced.

    If the database's encoding is not UTF8, the data is read once more, to find the characters that it lacks.

    Args:
        session: A session of the database, without an open transaction.
        df: The rows.
        on_nul: One of ON_NUL.
    """
    if on_nul == ERROR:
        return df
    lacking = lacking_of(session, df.drop(MALFORMED))
    replacement = "" if on_nul == STRIP else _QUESTION_MARK if REPLACEMENT in lacking else REPLACEMENT
    return cleaned(df, Cleaning(replacement, lacking), [MALFORMED])


def lacking_of(session: Session, df: DataFrame) -> str:
    """Return those characters of rows, or U+FFFD, that the encoding of the database lacks. UTF8 lacks none.

    No transaction may be open.
    """
    if not encodings.lacks_some(session):
        return ""
    with job_group(df.sparkSession.sparkContext, "pgjobs characters", "pgjobs: the characters of the data"):
        characters = {*characters_of(df), REPLACEMENT}
    return encodings.lacking(session, "".join(sorted(characters)))
