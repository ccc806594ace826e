"""PySpark jobs that move data between Spark and PostgreSQL by COPY, exactly once, with nothing to compile.

What a job of your own needs is imported from here: `from jobs import connection, load_dataframe`. A name is imported
when it is first used (PEP 562), so that `import jobs` imports neither PySpark nor pg8000 nor boto3.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.cli.flags import (
        add_common_options as add_common_options,
        add_connection_options as add_connection_options,
        connection_of as connection_of,
    )
    from jobs.cli.run import run_job as run_job, start_spark as start_spark
    from jobs.dbaccess.conninfo.settings import Settings as Settings
    from jobs.dbaccess.errors import (
        AuthenticationFailed as AuthenticationFailed,
        ConnectionFailed as ConnectionFailed,
        ConstraintViolated as ConstraintViolated,
        DataRejected as DataRejected,
        DatabaseError as DatabaseError,
        DuplicateTable as DuplicateTable,
        ExtractError as ExtractError,
        JobError as JobError,
        LoadError as LoadError,
        TlsFailed as TlsFailed,
        TransientError as TransientError,
        UndefinedTable as UndefinedTable,
        UsageError as UsageError,
    )
    from jobs.dbaccess.load.ledger import Ledger as Ledger
    from jobs.dbaccess.postgres_connectivity import connect as connect
    from jobs.dbaccess.rows.copy import copy_out as copy_out, copy_rows as copy_rows
    from jobs.dbaccess.session import Session as Session
    from jobs.flows.capture.job import Stop as Stop
    from jobs.flows.capture.report import CaptureReport as CaptureReport
    from jobs.flows.capture.table import capture_changes as capture_changes
    from jobs.flows.compare import CompareReport as CompareReport, compare_dataframe as compare_dataframe
    from jobs.flows.connection import connection as connection
    from jobs.flows.extract.dataframe import extract_dataframe as extract_dataframe
    from jobs.flows.extract.job import ExtractReport as ExtractReport
    from jobs.flows.extract.tables_job import TablesReport as TablesReport, extract_tables as extract_tables
    from jobs.flows.load.dataframe import load_dataframe as load_dataframe
    from jobs.flows.load.together.dataframes import ReleaseTable as ReleaseTable, load_release as load_release
    from jobs.flows.load.together.report import ReleaseReport as ReleaseReport
    from jobs.flows.query.call import run_query as run_query
    from jobs.flows.query.report import QueryReport as QueryReport
    from jobs.flows.report import LoadReport as LoadReport
    from jobs.flows.table_copy.report import CopyReport as CopyReport
    from jobs.flows.table_copy.table import copy_table as copy_table

_MODULES = {
    "jobs.cli.flags": ("add_common_options", "add_connection_options", "connection_of"),
    "jobs.cli.run": ("run_job", "start_spark"),
    "jobs.dbaccess.conninfo.settings": ("Settings",),
    "jobs.dbaccess.errors": (
        "AuthenticationFailed",
        "ConnectionFailed",
        "ConstraintViolated",
        "DataRejected",
        "DatabaseError",
        "DuplicateTable",
        "ExtractError",
        "JobError",
        "LoadError",
        "TlsFailed",
        "TransientError",
        "UndefinedTable",
        "UsageError",
    ),
    "jobs.dbaccess.load.ledger": ("Ledger",),
    "jobs.dbaccess.postgres_connectivity": ("connect",),
    "jobs.dbaccess.rows.copy": ("copy_out", "copy_rows"),
    "jobs.dbaccess.session": ("Session",),
    "jobs.flows.capture.job": ("Stop",),
    "jobs.flows.capture.report": ("CaptureReport",),
    "jobs.flows.capture.table": ("capture_changes",),
    "jobs.flows.compare": ("CompareReport", "compare_dataframe"),
    "jobs.flows.connection": ("connection",),
    "jobs.flows.extract.dataframe": ("extract_dataframe",),
    "jobs.flows.extract.job": ("ExtractReport",),
    "jobs.flows.extract.tables_job": ("TablesReport", "extract_tables"),
    "jobs.flows.load.dataframe": ("load_dataframe",),
    "jobs.flows.load.together.dataframes": ("ReleaseTable", "load_release"),
    "jobs.flows.load.together.report": ("ReleaseReport",),
    "jobs.flows.query.call": ("run_query",),
    "jobs.flows.query.report": ("QueryReport",),
    "jobs.flows.report": ("LoadReport",),
    "jobs.flows.table_copy.report": ("CopyReport",),
    "jobs.flows.table_copy.table": ("copy_table",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = list(_MODULE_OF)


class _Face(ModuleType):
    """Keeps a public function where an entrypoint's module has the same name: `run_query`, `copy_table`.

    The import system makes each submodule an attribute of its package. Such a module is still found by its full name.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face

if not TYPE_CHECKING:  # to a type checker, a name that is not imported above is an error

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(_MODULE_OF[name]), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "pyspark":
                raise
            return _absent(name, error)
        globals()[name] = value
        return value

    def _absent(name: str, error: ModuleNotFoundError) -> object:
        """Return what stands for a name that needs Spark where there is none: it fails when it is called.

        So a job's module can be imported, and check its arguments, on a machine that only submits it.
        """

        def needs_spark(*_: object, **__: object) -> None:
            raise ModuleNotFoundError(f"jobs.{name} needs Spark: {error}", name=error.name)

        return needs_spark

    def __dir__() -> list[str]:
        """Return the names of the module, including the public ones."""
        return sorted({*globals(), *__all__})
