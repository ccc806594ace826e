"""The driver's connection and cursor (DB-API 2.0), with this project's errors in place of the driver's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pg8000 import dbapi

from jobs.dbaccess import pep249
from jobs.dbaccess.errors import DatabaseError, driver_errors_translated

Row = Sequence[Any]


class Cursor(dbapi.Cursor):  # type: ignore[misc] # pg8000 has no types
    """A cursor that raises DatabaseErrors of this project, which are pg8000's, too."""

    def execute(
        self,
        operation: str,
        args: Sequence[object] | Mapping[str, object] = (),
        stream: Any = None,  # noqa: ANN401 - a file, or what has its methods
    ) -> None:
        """Run one statement, as pg8000 does."""
        self._check_open()
        super().execute(operation, args, stream)

    def callproc(self, procname: str, parameters: Sequence[object] | None = None) -> None:
        """Call a procedure, as pg8000 does."""
        self._check_open()
        super().callproc(procname, parameters)

    def fetchone(self) -> Row | None:
        """Return the next row; None at the end."""
        with driver_errors_translated():
            row: Row | None = super().fetchone()
            return row

    def fetchmany(self, num: int | None = None) -> Sequence[Row]:
        """Return some rows, by default `arraysize`."""
        with driver_errors_translated():
            rows: Sequence[Row] = super().fetchmany(num)
            return rows

    def fetchall(self) -> Sequence[Row]:
        """Return all remaining rows."""
        with driver_errors_translated():
            rows: Sequence[Row] = super().fetchall()
            return rows

    def _check_open(self) -> None:
        if self._c is None:
            raise DatabaseError("The cursor is closed.", "Open another one.")


class Connection(dbapi.Connection):  # type: ignore[misc] # pg8000 has no types
    """A connection that raises DatabaseErrors of this project, which are pg8000's, too; so do its cursors.

    Cursors, commit() and rollback() send their statements by the first two methods.
    """

    def execute_simple(self, statement: str) -> Any:  # noqa: ANN401 - pg8000's Context
        """Run statements without parameters."""
        with driver_errors_translated():
            return super().execute_simple(statement)

    def execute_unnamed(
        self,
        statement: str,
        vals: Sequence[object] = (),
        oids: Sequence[int] = (),
        stream: Any = None,  # noqa: ANN401 - a file, or what has its methods
    ) -> Any:  # noqa: ANN401 - pg8000's Context
        """Run one statement. An OSError may be the stream's, and stays what it is."""
        broken = (pep249.InterfaceError, OSError) if stream is None else (pep249.InterfaceError,)
        with driver_errors_translated(broken):
            return super().execute_unnamed(statement, vals=vals, oids=oids, stream=stream)

    def close(self) -> None:
        """Close the connection."""
        with driver_errors_translated():
            super().close()

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self)
