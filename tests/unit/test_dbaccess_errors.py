"""The driver's errors become the project's, by SQLSTATE, and show no value."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pg8000
import pytest
from pg8000 import dbapi
from pg8000.exceptions import DatabaseError as DriverDatabaseError
from pg8000.exceptions import InterfaceError as DriverInterfaceError

import jobs
from jobs.dbaccess import errors
from jobs.dbaccess.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ConstraintViolated,
    DatabaseError,
    DataRejected,
    DuplicateTable,
    TlsFailed,
    TransientError,
    UndefinedTable,
    driver_errors_translated,
    from_server,
    kind_of,
)


@pytest.mark.parametrize(
    ("sqlstate", "kind", "transient"),
    [
        ("08006", ConnectionFailed, True),
        ("22P02", DataRejected, False),
        ("23505", ConstraintViolated, False),
        ("28P01", AuthenticationFailed, False),
        ("40P01", TransientError, True),
        ("42P01", UndefinedTable, False),
        ("42P07", DuplicateTable, False),
        ("42P02", DatabaseError, False),
        ("53300", TransientError, True),
        ("55P03", TransientError, True),
        ("57P03", TransientError, True),
        ("57P04", DatabaseError, False),
        ("57014", DatabaseError, False),
        ("", DatabaseError, False),
    ],
)
def test_the_sqlstate_chooses_the_class(sqlstate: str, kind: type[DatabaseError], transient: bool) -> None:
    assert kind_of(sqlstate) is kind
    assert kind.transient is transient


def test_the_drivers_names_for_its_errors_mean_one_class() -> None:
    assert pg8000.DatabaseError is dbapi.DatabaseError is DriverDatabaseError
    assert pg8000.InterfaceError is dbapi.InterfaceError is DriverInterfaceError


@pytest.mark.parametrize(
    ("kind", "drivers"),
    [
        (DatabaseError, DriverDatabaseError),
        (TransientError, dbapi.OperationalError),
        (ConnectionFailed, DriverInterfaceError),
        (ConnectionFailed, dbapi.OperationalError),
        (TlsFailed, DriverInterfaceError),
        (AuthenticationFailed, dbapi.OperationalError),
        (DataRejected, dbapi.DataError),
        (ConstraintViolated, dbapi.IntegrityError),
        (UndefinedTable, dbapi.ProgrammingError),
        (DuplicateTable, dbapi.ProgrammingError),
    ],
)
def test_an_error_is_caught_as_the_drivers_too(kind: type[DatabaseError], drivers: type[Exception]) -> None:
    with pytest.raises(drivers) as caught, driver_errors_translated():
        raise kind("what", "hint", "12345", "c")
    assert type(caught.value) is kind
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (type(copy), vars(copy)) == (kind, vars(caught.value))


CELL = "planted-cell"


@pytest.mark.parametrize(
    ("sqlstate", "message", "shown"),
    [
        ("22P02", f'invalid input syntax for type integer: "{CELL}"', "invalid input syntax for type integer"),
        ("22003", f'value "{CELL}" is out of range for type integer', "value is out of range for type integer"),
        ("22008", f'date/time field value out of range: "{CELL}"', "date/time field value out of range"),
        ("22P02", f'invalid input value for enum mood: "{CELL}"', "invalid input value for enum mood"),
        ("22P02", f'malformed array literal: "{CELL} "with" quotes\nand lines"', "malformed array literal"),
        ("22001", "value too long for type character varying(3)", "value too long for type character varying(3)"),
        ("22021", 'invalid byte sequence for encoding "UTF8": 0x70 0x6c', "invalid byte sequence for encoding"),
    ],
)
def test_a_refused_value_is_cut_from_the_message(sqlstate: str, message: str, shown: str) -> None:
    error = from_server({"C": sqlstate, "M": message, "W": f'COPY t, line 3, column price: "{CELL}"'})
    assert error.message == f'column "price": {shown} (SQLSTATE {sqlstate}).'
    assert CELL not in repr(error)


def test_details_are_not_shown_for_they_hold_the_row() -> None:
    error = from_server(
        {"C": "23505", "M": 'duplicate key value violates unique constraint "t_pkey"', "D": f"Key (a)=({CELL}) exists."}
    )
    assert error.message == 'duplicate key value violates unique constraint "t_pkey" (SQLSTATE 23505).'


def test_a_column_that_the_server_names_is_kept() -> None:
    error = from_server({"C": "23502", "M": 'null value in column "a" of relation "t" violates', "c": "a"})
    assert error.column == "a"
    assert error.message.count('"a"') == 1


def test_a_column_whose_name_holds_a_comma_is_found_in_the_context() -> None:
    assert from_server({"C": "22P02", "M": "x", "W": "COPY t, line 12, column a, b: null input"}).column == "a, b"


def test_an_error_survives_the_way_between_processes() -> None:
    error = from_server({"C": "22P02", "M": "bad", "W": 'COPY t, line 1, column c: "x"'})
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(copy), str(copy), copy.sqlstate, copy.column) == (type(error), str(error), "22P02", "c")


def test_the_drivers_own_error_is_not_chained_for_it_holds_the_values() -> None:
    with pytest.raises(DataRejected) as caught, driver_errors_translated():
        raise DriverDatabaseError({"C": "22P02", "M": f'bad: "{CELL}"', "D": CELL})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def refuse_and_say_goodbye() -> None:
    """As pg8000 does, when its goodbye to a server that refused the login fails."""
    try:
        raise DriverDatabaseError({"C": "28P01", "M": "no"})
    finally:
        raise DriverInterfaceError("network error")


def test_a_refusal_is_not_hidden_by_a_goodbye_that_fails() -> None:
    with pytest.raises(AuthenticationFailed, match="no"), driver_errors_translated():
        refuse_and_say_goodbye()


def test_a_broken_connection_tells_the_innermost_reason() -> None:
    with pytest.raises(ConnectionFailed, match="reset by peer"), driver_errors_translated():
        try:
            raise ConnectionResetError("reset by peer")
        except OSError as error:
            raise DriverInterfaceError("network error") from error


def test_an_error_that_is_being_handled_is_not_taken_for_the_reason_of_a_later_one() -> None:
    handled = from_server({"C": "23505", "M": "an earlier statement's"})
    with pytest.raises(ConnectionFailed, match="reset by peer"):
        try:
            raise handled
        except ConstraintViolated:
            with driver_errors_translated():
                raise DriverInterfaceError("network error") from ConnectionResetError("reset by peer")


def bases_in_the_code() -> dict[str, str]:
    """Each error of a job's, wherever it is defined, and the one that it derives from."""
    folder = Path(jobs.__file__).parent
    trees = [ast.parse(path.read_text()) for path in folder.rglob("*.py") if path.stem != "pep249"]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {"JobError": ""}
    while new := {
        node.name: ast.unparse(node.bases[0])
        for node in classes
        if node.name not in bases and node.bases and ast.unparse(node.bases[0]) in bases
    }:
        bases.update(new)
    return bases


def bases_in_the_docstring() -> dict[str, str]:
    """Each error of the tree that the module shows, and the one above it."""
    bases: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for branch, name in re.findall(r"^    ((?:[| ]   )*(?:\+-- )?)([A-Z]\w+) ", errors.__doc__ or "", re.MULTILINE):
        path = [(depth, above) for depth, above in path if depth < len(branch)]
        bases[name] = path[-1][1] if path else ""
        path.append((len(branch), name))
    return bases


def test_the_tree_that_is_shown_is_the_tree() -> None:
    assert bases_in_the_docstring() == bases_in_the_code()


def test_all_that_the_module_defines_is_exported() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if not name.startswith("_") and (getattr(value, "__module__", "") == errors.__name__ or isinstance(value, str))
    }
    assert set(errors.__all__) == defined | {"JobError", "UsageError", "plural"}


@pytest.mark.parametrize(
    ("message", "context", "shown"),
    [
        ("ungültige Eingabesyntax für Typ integer: »secret«", "COPY t, Zeile 3, Spalte c: »secret«", "Typ integer"),
        ("syntaxe en entrée invalide : « secret »", "COPY t, ligne 3, colonne c : « secret »", "invalide"),
        ("la sintaxis no es válida: «secret»", "COPY t, línea 3, columna c: «secret»", "válida"),
    ],
)
def test_a_value_is_cut_and_its_place_is_known_in_the_servers_language(message: str, context: str, shown: str) -> None:
    error = from_server({"C": "22P02", "M": message, "W": context})
    assert shown in str(error)
    assert "secret" not in str(error)
    assert (error.line, error.column) == (3, "c")


def test_a_value_with_a_syntax_of_its_own_is_not_shown() -> None:
    fields = {"C": "42601", "M": 'syntax error in tsquery: "secret &"', "W": 'COPY t, line 3, column q: "secret &"'}
    error = from_server(fields)
    assert (error.line, error.column) == (3, "q")
    assert "secret" not in str(error)
