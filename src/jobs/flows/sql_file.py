"""SQL of a user's own, and other text, from a file, also on s3://, without Spark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jobs.aws.s3_objects import read_object
from jobs.dbaccess.errors import UsageError


def read_sql(path: str, environ: Mapping[str, str], flag: str = "--sql-file") -> str:
    """Read SQL from a file, also on s3://, without Spark.

    Args:
        path: Of the file.
        environ: The environment, for the AWS region.
        flag: The flag that gives the path.

    Raises:
        UsageError: The file does not exist, or is not UTF-8.
        JobError: AWS did not return it.
    """
    return read_text(path, environ, flag, "SQL file")


def read_text(path: str, environ: Mapping[str, str], flag: str, what: str) -> str:
    """Read text from a file. Arguments and errors are as those of `read_sql`; `what` says in messages what it is."""
    try:
        content = read_object(path, environ) if path.startswith("s3://") else Path(path).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"The {what} {path} cannot be read: {error.strerror}.", f"Check {flag}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The {what} {path} is not UTF-8.", "Convert it: iconv -t UTF-8.") from None
